"""Which engines there are. An engine's module is imported only in the engine process: it may be slow, big or GPL.

An operator may also name a class of their own as "package.module:Class"; the package must be on the server's
PYTHONPATH.
"""

from __future__ import annotations

import importlib

from speech_server.engines.base import Engine

ENGINES = {
    "espeak": "speech_server.engines.espeak:EspeakEngine",
    "indextts2": "speech_server.engines.indextts2.engine:IndexTTS2Engine",
}


def engine_path(name: str) -> str:
    """The "package.module:Class" that `name` stands for. Raises ValueError for a name that is neither."""
    if name in ENGINES:
        return ENGINES[name]
    module, colon, attribute = name.partition(":")
    if colon and attribute.isidentifier() and all(part.isidentifier() for part in module.split(".")):
        return name
    known = ", ".join(ENGINES)
    raise ValueError(f'{name!r} is no engine: use one of {known}, or "package.module:Class" of an engine of your own')


def make_engine(name: str) -> Engine:
    """Import and construct the engine, unloaded. Raises ImportError or AttributeError if its class is not there."""
    module, _, attribute = engine_path(name).partition(":")
    return getattr(importlib.import_module(module), attribute)()
