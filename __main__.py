"""The stack: its settings, the service that they describe, its outputs."""

import atexit
import gc

# The SDKs' objects are many and live until the program ends. To look through them for garbage, again and again as
# they are imported and once more at the end, takes a third of a preview.
gc.disable()
atexit.register(gc.freeze)

import pulumi  # noqa: E402 - the lines above are for what it imports

from components.service import SpeechService  # noqa: E402
from components.settings import load  # noqa: E402

settings = load(pulumi.get_stack())
service = SpeechService("speech", settings)

for name, value in service.outputs.items():
    pulumi.export(name, value)
