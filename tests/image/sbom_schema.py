"""CycloneDX's own judgement of a bill of materials, by its library, in an environment of that library's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
VALIDATOR = "cyclonedx-python-lib[json-validation]==11.5.0"
_PROGRAM = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read(), all_errors=True)
print(*(f"{error}"[:500] for error in errors or ()), sep="\\n")
"""


def errors_of(sbom: str) -> str:
    """Empty for a document that is valid against the strict schema of version 1.6. Wants the package index."""
    command = [str(ROOT / ".venv/bin/uvx"), "--quiet", "--from", VALIDATOR, "python", "-c", _PROGRAM]
    done = subprocess.run(command, input=sbom, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()
