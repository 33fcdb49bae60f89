"""What a speech engine is: the contract between the server and every engine it can run.

An engine lives in a process of its own (`engines/worker.py`), is asked for one utterance at a time, and never sees
a request: what it is given is already checked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # numpy is 0.1 s of import: the server process may need this module and no arrays
    import numpy as np


@dataclass(frozen=True)
class Capabilities:
    """What a loaded engine is and can do. Whatever is False here is answered with a warning, never silently."""

    name: str
    version: str
    sample_rate: int  # Hz of Speech.samples
    languages: tuple[str, ...]  # BCP 47: "zh", "en"
    voices: tuple[str, ...]  # built-in voices, the first is the default
    clone: bool
    emotion: bool
    native_duration: bool
    # the least and the most Utterance.duration_factor that it speaks at, if native_duration
    duration_factors: tuple[float, float] = (1.0, 1.0)
    segments: bool = False  # whether it is a SegmentingEngine: found out by who loads it
    warm_up_seconds: float = 0.0  # of load(): to speak once


@dataclass(frozen=True)
class Reference:
    """A voice sample that was checked and decoded: mono 16-bit WAV at a path named after its content."""

    sha256: str
    path: str
    seconds: float


@dataclass(frozen=True)
class Emotion:
    """How the utterance is to sound.

    `type` is "text_desc" (with `description`), "vector" (with `vector`, eight values 0-1 in the order happy, angry,
    sad, afraid, disgusted, melancholic, surprised, calm) or "audio" (with `reference`). `intensity` is 0-1.
    """

    type: str
    description: str | None
    vector: tuple[float, ...] | None
    reference: Reference | None
    intensity: float


@dataclass(frozen=True)
class Utterance:
    """One thing to say."""

    text: str  # cleaned; tone-marked pinyin already in tone-numbered form ("yao4")
    language: str | None  # BCP 47; None: the engine detects it
    voice: str | None  # one of Capabilities.voices; None: the default, or the reference's voice
    reference: Reference | None
    emotion: Emotion | None
    # of the natural length, > 1 is slower; only for engines with native_duration, within Capabilities.duration_factors
    duration_factor: float | None
    seed: int | None
    small_footprint: bool  # the one retry after an engine fault: smaller segments, fewer beams
    # of Engine.segments(): so many are here from before the fault, and are not spoken again
    segments_done: int = 0


@dataclass(frozen=True)
class Speech:
    """What was said: float32 mono samples of shape (n,) in -1..1, and warnings that start with a code and a colon
    ("cloning_unsupported: espeak speaks with its own voice").
    """

    samples: np.ndarray
    sample_rate: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SpeechSegment(Speech):
    """A part of what was said, to go right behind the part before it: the pause between the two is in `samples`, which
    may be none. `warnings` came up with this part. Nothing follows the `last`.
    """

    last: bool


@dataclass(slots=True)
class Spoken:
    """A Speech, or some segments of one, as it left the engine's process: `pcm` is 16-bit little-endian mono, at least
    one sample but in the last of several parts.
    """

    pcm: bytes
    sample_rate: int
    warnings: tuple[str, ...]
    last: bool = True
    segments_done: int = 0  # of the utterance with this part, those that were left out included

    @property
    def samples(self) -> int:
        return len(self.pcm) // 2

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


class Cancelled(Exception):  # noqa: N818 - no error: it is what was asked for
    """Raised by `Engine.speak` when it stopped because `cancelled()` became true."""


class UtteranceError(Exception):
    """Raised by `Engine.speak` for what the caller can mend. `param` names the request field at fault, if one is."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class Engine(Protocol):
    """Implemented by every engine, listed in `engines/__init__.py`."""

    def load(self) -> Capabilities:
        """Make the engine warm: when this returns, the next call speaks at once. Called once."""
        ...

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        """Say it. `cancelled()` is cheap and is to be asked often (at least every 200 ms of work).

        Raises Cancelled, or UtteranceError for what the caller can mend; anything else is a fault of the engine,
        which is then restarted.
        """
        ...


@runtime_checkable
class SegmentingEngine(Engine, Protocol):
    """An engine that has the beginning of a clip before its end."""

    def segments(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Generator[SpeechSegment]:
        """What `speak` says, in parts, each as soon as it is there: put together they are the same samples. The same
        utterance with a seed has the same segments whenever it is said, of which the first `segments_done` are left
        out. Raises what `speak` raises.
        """
        ...


@runtime_checkable
class RecyclingEngine(Engine, Protocol):
    """An engine whose process wears out: it is asked after each call, and a fresh process takes over."""

    def recycle_reason(self) -> str | None:
        """Why a fresh process should take over before the next call, for the log; None: this one is good for more."""
        ...
