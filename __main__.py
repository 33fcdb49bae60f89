"""The stack: its settings, the service that they describe, its outputs."""

import pulumi

from components.service import SpeechService
from components.settings import load

settings = load(pulumi.get_stack())
service = SpeechService("speech", settings)

for name, value in service.outputs.items():
    pulumi.export(name, value)
