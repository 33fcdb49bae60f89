"""The `indextts2` engine on this machine: where it finds its packages and weights, and what its servers are told."""

from __future__ import annotations

import sys
from pathlib import Path

from components.local.machine.layout import PROJECT_ROOT, Layout, absolute
from components.server_environment import engine_environment
from components.settings import LocalSettings

PYTHON = PROJECT_ROOT / ".local" / "engine" / "bin" / "python"
"""The interpreter of the environment that `make engine` makes."""


def python(settings: LocalSettings) -> Path:
    """What runs the servers, or where they run in containers, what looks at the weights."""
    if settings.contained or settings.engine.name == "espeak":
        return Path(sys.executable)
    return absolute(settings.engine.python) if settings.engine.python else PYTHON


def weights_folder(settings: LocalSettings, layout: Layout) -> Path:
    """Where the weights lie, or will when they are fetched."""
    return absolute(settings.weights.folder) if settings.weights.folder else layout.weights / str(settings.weights.name)


def fetched(settings: LocalSettings) -> bool:
    """Whether the stack itself brings the weights here."""
    return settings.engine.name == "indextts2" and not settings.weights.folder


def weights_url(settings: LocalSettings) -> str:
    """Where they are fetched from, as `indextts2 weights pull` takes it: weights/NAME of a store, or a hub's own."""
    weights = settings.weights
    if weights.store is None:
        return f"{weights.source}?endpoint={weights.endpoint}" if weights.endpoint else str(weights.source)
    place, mark, query = weights.store.partition("?")
    return f"{place.rstrip('/')}/weights/{weights.name}{mark}{query}"


def environment(settings: LocalSettings, layout: Layout) -> dict[str, str]:
    """Which engine a server runs and how."""
    engine = settings.engine
    if engine.name == "espeak":
        return engine_environment(engine, "")
    given = {
        "SPEECH_ENGINE_DEVICE": "cpu" if engine.device == "cpu" else None,
        # An engine process sees its own GPU alone, which to it is the first one.
        "SPEECH_DEVICES": engine.device.removeprefix("cuda:") if engine.device not in (None, "cpu") else None,
        "SPEECH_ENGINE_VOICES": str(absolute(engine.voices)) if engine.voices else None,
        "SPEECH_IDLE_UNLOAD_MINUTES": str(engine.idle_unload_minutes) if engine.idle_unload_minutes else None,
    }
    return {
        **engine_environment(engine, str(weights_folder(settings, layout))),
        # In the image it is compiled already.
        **({} if settings.contained else {"XDG_CACHE_HOME": str(layout.cache)}),
        **{name: value for name, value in given.items() if value is not None},
    }
