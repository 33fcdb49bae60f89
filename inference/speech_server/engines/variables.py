"""Which environment variables an engine reads, and what is wrong with their values: told before its process starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from speech_server.engines import ENGINES, engine_path
from speech_server.engines.indextts2 import settings as indextts2
from speech_server.engines.indextts2.glossary import GlossaryError, read_glossary


@dataclass(frozen=True)
class EngineVariables:
    """`problems` checks the values of `names`, a line for each that is wrong."""

    names: tuple[str, ...]
    problems: Callable[[Mapping[str, str]], list[str]]


def variables_of(engine: str) -> EngineVariables:
    """None for an engine that declares none, as a class of the operator's own, which is not imported here.

    Raises ValueError for a name that is no engine.
    """
    path = engine_path(engine)
    return next((variables for name, variables in DECLARED.items() if ENGINES[name] == path), _NONE)


def _indextts2_problems(environment: Mapping[str, str]) -> list[str]:
    # a name that is none of these is the server's to refuse
    known = {name: value for name, value in environment.items() if name in indextts2.VARIABLES}
    try:
        settings = indextts2.read_engine_settings(known)
    except indextts2.EngineSettingsError as error:
        return str(error).splitlines()
    if settings.glossary is None:
        return []
    try:
        read_glossary(settings.glossary)
    except GlossaryError as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    else:
        return []
    return [f"{indextts2.PREFIX}GLOSSARY={str(settings.glossary)!r}: {problem}"]


_NONE = EngineVariables((), lambda _: [])
DECLARED: Mapping[str, EngineVariables] = {"indextts2": EngineVariables(indextts2.VARIABLES, _indextts2_problems)}
