"""A stand-in for NVIDIA's container toolkit: it knows how Docker is given the runtime, and notes that it was."""

import pathlib
import sys

if __name__ == "__main__":
    if sys.argv[1:] != ["runtime", "configure", "--runtime=docker"]:
        sys.exit(f"nvidia-ctk (a stand-in): unknown arguments {sys.argv[1:]}")
    pathlib.Path("/etc/stand-in-nvidia").touch()
