"""What of this machine stands in the way of the `indextts2` engine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import psutil

from components.local.engine import python, weights_folder
from components.local.machine import engine_packages, gpus
from components.local.machine.engine_packages import Packages
from components.local.machine.gpus import Gpu
from components.local.machine.layout import Layout, absolute
from components.settings import LocalSettings

# What the server, torch and CUDA's libraries take before a byte of the model is loaded.
PROCESSES_MEMORY = 2 << 30
# What the text normalisers' grammars take while they are compiled, with the first load: 4.8 GB were seen.
GRAMMARS_MEMORY = 6 * 10**9
# About what the weights of a version take on the disk: 5.9 GB of the model's own repository, and the models that it
# builds on. https://huggingface.co/IndexTeam/IndexTTS-2.5/tree/main, https://huggingface.co/facebook/w2v-bert-2.0
WEIGHTS_SIZE = 9 * 10**9


@dataclass(frozen=True)
class EngineFacts:
    """What was found of this machine. A text stands for what could not be found out, and says why."""

    packages: Packages | str
    gpus: tuple[Gpu, ...] | str
    memory: int
    """Bytes of this machine's memory, in all."""
    free_disk: int
    """Bytes that are free where fetched weights go."""


def look(settings: LocalSettings, layout: Layout) -> EngineFacts:
    """Asks the interpreter, the driver and the system; changes nothing."""
    existing = layout.weights
    while not existing.is_dir():
        existing = existing.parent
    return EngineFacts(
        packages=engine_packages.ask(python(settings), str(settings.engine.version), weights_folder(settings, layout)),
        gpus=() if settings.engine.device == "cpu" else gpus.installed(),
        memory=psutil.virtual_memory().total,
        free_disk=shutil.disk_usage(existing).free,
    )


def problems(settings: LocalSettings, layout: Layout, facts: EngineFacts) -> list[str]:
    """Everything that keeps the engine from running here, each with its key, what was found, and what to do."""
    return [
        *_package_problems(settings, facts),
        *_gpu_problems(settings, facts),
        *_weights_problems(settings, layout, facts),
        *_memory_problems(settings, facts),
        *_voice_problems(settings),
    ]


def has_default_voice(settings: LocalSettings) -> bool:
    """Whether a request that names no voice and brings none can be spoken: IndexTTS2 has no voice of its own."""
    return bool(settings.engine.voices) and (absolute(settings.engine.voices) / "default.wav").is_file()


def _package_problems(settings: LocalSettings, facts: EngineFacts) -> list[str]:
    if settings.contained:
        return []  # they are in the image
    key = f"indextts2:engine.python: {settings.engine.python or '(of make engine)'}"
    if isinstance(facts.packages, str):
        return [f"{key}: {facts.packages}; run `make engine`, or name an interpreter that has the engine's packages"]
    if facts.packages.missing:
        there = "run `make engine`, or install inference/requirements-indextts2.txt and inference/ there"
        if settings.engine.version == "2":
            there = "no package index has index-tts: inference/requirements-indextts2.in says how to install it there"
        return [f"{key}: lacks {', '.join(facts.packages.missing)}; {there}"]
    return []


def _gpu_problems(settings: LocalSettings, facts: EngineFacts) -> list[str]:
    device = settings.engine.device
    if device == "cpu":
        return []
    key = f"indextts2:engine.device: {device or '(every GPU)'}"
    slow = "or, for trying only, have it run on the CPU: pulumi config set --path indextts2:engine.device cpu"
    if isinstance(facts.gpus, str):
        return [f"{key}: {facts.gpus}, {slow}"]
    found = []
    if device and int(device.removeprefix("cuda:")) >= len(facts.gpus):
        found.append(f"{key}: there are {len(facts.gpus)} GPUs, counted from cuda:0; name one of them, or none for all")
    cuda = None if isinstance(facts.packages, str) else facts.packages.cuda
    driver = gpus.driver_problem(facts.gpus, cuda) if cuda else None
    if driver:
        found.append(f"{key}: {driver}, {slow}")
    return found


def _weights_problems(settings: LocalSettings, layout: Layout, facts: EngineFacts) -> list[str]:
    folder = weights_folder(settings, layout)
    if settings.weights.folder:
        key = f"indextts2:weights.folder: {settings.weights.folder!r}"
        if not folder.is_dir():
            return [f"{key}: {folder} is no folder that this user can see; give the one that holds the weights"]
        wrong = None if isinstance(facts.packages, str) else facts.packages.weights
        return [f'{key}: {wrong}; docs/engine.md, "Weights", says how to get them'] if wrong else []
    if not folder.is_dir() and facts.free_disk < WEIGHTS_SIZE:
        return [
            f"indextts2:dataDir: {settings.data_dir!r}: {facts.free_disk / 1e9:.1f} GB are free, and the weights take "
            f"about {WEIGHTS_SIZE / 1e9:.0f}; free some, or choose a directory on another disk"
        ]
    return []


def _memory_problems(settings: LocalSettings, facts: EngineFacts) -> list[str]:
    if isinstance(facts.packages, str):
        return []
    # A file is in memory as a whole while the model is made from it; on the CPU the model stays there.
    kept = facts.packages.all_weights if settings.engine.device == "cpu" else facts.packages.largest_weights
    wanted = max(PROCESSES_MEMORY + facts.packages.largest_weights + kept, 0 if settings.contained else GRAMMARS_MEMORY)
    if facts.memory >= wanted:
        return []
    return [
        f"indextts2:engine.name: 'indextts2': this machine has {facts.memory / 1e9:.1f} GB of memory, and to load the "
        f"weights takes about {wanted / 1e9:.1f}; add memory, or choose another machine"
    ]


def _voice_problems(settings: LocalSettings) -> list[str]:
    if not settings.engine.voices:
        return []
    folder = absolute(settings.engine.voices)
    if folder.is_dir():
        return []
    return [f"indextts2:engine.voices: {settings.engine.voices!r}: {folder} is no folder that this user can see"]
