"""What nodes of every cloud run as it is: each script by the name that it has on the node."""

from pathlib import Path

SCRIPTS = {path.name: path for path in sorted(Path(__file__).parent.glob("*.sh"))}
