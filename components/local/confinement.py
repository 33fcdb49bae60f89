"""What the container of a local server may have: the same as in deploy/compose.yaml."""

from __future__ import annotations

import os

from components.local.engine import weights_folder
from components.local.machine.containers import Confinement
from components.local.machine.layout import Layout, absolute
from components.settings import LocalSettings

# torch holds the largest file of the weights twice while it loads, beside the CUDA libraries.
MEMORY = {"espeak": "2g", "indextts2": "16g"}
# Threads count; torch and NumPy start one for each core, several times.
PROCESSES = {"espeak": 128, "indextts2": 2048}


def confinement(settings: LocalSettings, layout: Layout, image: str) -> Confinement:
    """Of a server from the image of this id."""
    name = settings.engine.name
    readable = [layout.keys.parent]
    if name == "indextts2":
        readable.append(weights_folder(settings, layout))
    if settings.engine.voices:
        readable.append(absolute(settings.engine.voices))
    return Confinement(
        image=image,
        user=f"{os.getuid()}:{os.getgid()}",
        network=settings.container.network,
        memory=settings.container.memory or MEMORY[name],
        processes=PROCESSES[name],
        gpus=name == "indextts2" and settings.engine.device != "cpu",
        readable=tuple(str(folder) for folder in readable),
        writable=(str(layout.objects), str(layout.queue.parent)),
    )
