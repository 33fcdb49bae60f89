"""What an operator sets for this engine: environment variables SPEECH_ENGINE_..., read in the engine process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from speech_server.engines.indextts2.generation import DEFAULTS, read_generation
from speech_server.engines.indextts2.packages import Package, package_for
from speech_server.engines.indextts2.recycling import RecycleLimits

PREFIX = "SPEECH_ENGINE_"
VARIABLES = tuple(
    PREFIX + name
    for name in (
        "WEIGHTS",
        "VERSION",
        "PACKAGE",
        "PRECISION",
        "TF32",
        "DEVICE",
        "LOW_MEMORY",
        "VOICES",
        "GLOSSARY",
        "GENERATION",
        "SEGMENT_TOKENS",
        "SEGMENT_SECONDS",
        "WARM_MEGABYTES",
        "RECYCLE_CALLS",
        "RECYCLE_HOURS",
        "RECYCLE_GROWTH_MEGABYTES",
    )
)
_MEGABYTE = 1 << 20

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class EngineSettingsError(ValueError):
    """Every problem of the environment at once, a line each."""


@dataclass(frozen=True)
class EngineSettings:
    """`precision` may be "auto". Tokens are the model's own, a segment is what it speaks in one go."""

    weights: Path
    package: Package
    precision: str
    tf32: bool
    device: str | None  # as torch names it; None: the first GPU, else the CPU
    low_memory: bool | None  # None: by the card
    voices: Path | None  # a folder of NAME.wav
    glossary: Path | None  # a JSON file
    generation: Mapping[str, float]
    segment_tokens: int
    segment_seconds: float  # a segment that takes longer hangs
    warm_bytes: int | None  # None: by the footprint
    recycle: RecycleLimits


def read_engine_settings(environment: Mapping[str, str]) -> EngineSettings:
    """Raises EngineSettingsError with all problems."""
    reader = _Reader(environment)
    version = reader.read("VERSION", _one_of("2", "2.5"), "2.5")
    # with a package that is none, the other variables are still checked, against the version's default
    package = reader.read("PACKAGE", lambda name: package_for(version, name), package_for(version, None))
    weights = reader.read("WEIGHTS", _folder, None)
    if PREFIX + "WEIGHTS" not in environment:
        reader.problems.append(f"{PREFIX}WEIGHTS: not set; the folder that holds the weights of version 2 or 2.5")
    settings = EngineSettings(
        weights=weights or Path(),
        package=package,
        precision=reader.read("PRECISION", _one_of("auto", *package.flags), "auto"),
        tf32=bool(reader.read("TF32", _switch, False)),
        device=reader.read("DEVICE", _device, None),
        low_memory=reader.read("LOW_MEMORY", _automatic_switch, None),
        voices=reader.read("VOICES", _folder, None),
        glossary=reader.read("GLOSSARY", _absolute, None),
        generation=reader.read("GENERATION", lambda text: read_generation(text, package), dict(DEFAULTS)),
        segment_tokens=int(reader.read("SEGMENT_TOKENS", _number(20, 300), 120)),
        segment_seconds=reader.read("SEGMENT_SECONDS", _number(0.01, 86_400), 180.0),
        warm_bytes=reader.read("WARM_MEGABYTES", _megabytes, None),
        recycle=RecycleLimits(
            calls=int(reader.read("RECYCLE_CALLS", _number(1, 10**9), 20_000)),
            seconds=reader.read("RECYCLE_HOURS", _number(0.01, 10**6), 168.0) * 3600,
            growth_bytes=int(reader.read("RECYCLE_GROWTH_MEGABYTES", _number(1, 10**6), 2048) * _MEGABYTE),
        ),
    )
    if reader.problems:
        raise EngineSettingsError("\n".join(reader.problems))
    return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems = [
            f"{name}: the indextts2 engine has no such setting; it has {', '.join(VARIABLES)}"
            for name in sorted(environment)
            if name.startswith(PREFIX) and name not in VARIABLES
        ]

    def read(self, name: str, parse: Callable[[str], _Value], default: _Default) -> _Value | _Default:
        text = self._environment.get(PREFIX + name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{PREFIX}{name}={text[:200]!r}: {error}")
            return default


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _folder(text: str) -> Path:
    path = _absolute(text)
    if not path.is_dir():
        raise ValueError("is no folder that this process can see: give the absolute path of one")
    return path


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return parse


def _device(text: str) -> str:
    index = text.removeprefix("cuda:")
    if text != "cpu" and not (text.startswith("cuda:") and index.isascii() and index.isdigit()):
        raise ValueError("must be cpu or cuda:N")
    return text


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _automatic_switch(text: str) -> bool | None:
    if text not in ("auto", "true", "false"):
        raise ValueError("must be auto, true or false")
    return None if text == "auto" else text == "true"


def _megabytes(text: str) -> int:
    return int(_number(0, 65_536)(text) * _MEGABYTE)


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:  # nor is nan
            raise ValueError(f"must be a number from {lowest:g} to {highest:g}")
        return number

    return parse
