"""The `indextts2` engine: load, speak, and know when to make room for a fresh process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from speech_server.audio.encode import wav
from speech_server.audio.joints import Joiner
from speech_server.engines.base import (
    Cancelled,
    Capabilities,
    Emotion,
    Reference,
    Speech,
    SpeechSegment,
    Utterance,
    UtteranceError,
)
from speech_server.engines.indextts2 import emotion as emotions
from speech_server.engines.indextts2.accelerator import Accelerator, breaks_the_process, is_out_of_memory
from speech_server.engines.indextts2.built_in_voices import read_voices
from speech_server.engines.indextts2.emotion import EmotionArguments
from speech_server.engines.indextts2.emotion_scorer import EmotionScorer
from speech_server.engines.indextts2.footprint import choose_footprint
from speech_server.engines.indextts2.generation import call_parameters
from speech_server.engines.indextts2.glossary import read_glossary
from speech_server.engines.indextts2.interruption import Interruption
from speech_server.engines.indextts2.licence import NOTICE
from speech_server.engines.indextts2.model import Call, Model, Sound, Voice
from speech_server.engines.indextts2.packages import SAMPLE_RATE
from speech_server.engines.indextts2.precision import check_tf32, choose_precision
from speech_server.engines.indextts2.recycling import Wear, recycle_reason
from speech_server.engines.indextts2.references import (
    HEARD_SECONDS,
    ReferenceChangedError,
    ReferenceFiles,
    engine_folder,
)
from speech_server.engines.indextts2.settings import read_engine_settings
from speech_server.engines.indextts2.voicing import (
    FASTEST,
    SLOWEST,
    SMALL_TOKENS,
    Plan,
    limits_for,
    native_factor,
    plan_text,
    segment_seed,
)
from speech_server.engines.indextts2.watchdog import ends_after
from speech_server.engines.indextts2.weights import check_weights, emotion_model
from speech_server.node.check import require
from speech_server.text.segments import Segment, halves

_WARM_UP = (("zh", "今天有12个。"), ("en", "There are 12 today."))


@dataclass(frozen=True)
class SpokenSegment(SpeechSegment):
    text: str  # as it was given to the model, with marks
    language: str


@dataclass(frozen=True)
class _Voicing:
    """What all segments of an utterance have in common."""

    voice: Voice
    emotion: Voice | None
    arguments: EmotionArguments
    duration_factor: float
    seed: int
    small: bool


class IndexTTS2Engine:
    """Versions 2 and 2.5. `load()` reads the settings from the environment (`settings.py`)."""

    def __init__(self) -> None:
        self._interruption = Interruption()
        self._scorer: EmotionScorer | None = None
        self._voices: dict[str, Reference] = {}
        self._wear = Wear()
        self._born = time.monotonic()
        self._baseline_bytes = 0

    def load(self) -> Capabilities:
        """Raises EngineSettingsError, WeightsError, PreflightError, PrecisionError, UnsuitablePackageError,
        GlossaryError, VoiceFolderError or whatever the package does, each before the next slower step.
        """
        self._settings = settings = read_engine_settings(os.environ)
        package = settings.package
        check_weights(settings.weights, package.version)
        require(settings, os.environ, Path(os.environ.get("SPEECH_WORK_DIR") or tempfile.gettempdir()))
        glossary = read_glossary(settings.glossary) if settings.glossary else {}
        self._folder = engine_folder(os.environ.get("SPEECH_WORK_DIR"))
        self._references = ReferenceFiles(self._folder)
        if settings.voices:
            self._voices = read_voices(settings.voices, self._folder)
        sys.stdout.write(f"{NOTICE}\n")
        self._accelerator = Accelerator(settings.device)
        capability, memory = self._accelerator.capability, self._accelerator.memory_bytes
        self._footprint = choose_footprint(settings.low_memory, memory, settings.warm_bytes)
        precision = choose_precision(settings.precision, package, capability, self._footprint.low)
        if settings.tf32:
            check_tf32(capability)
            self._accelerator.multiply_in_tf32()
        self._model = Model(
            package,
            settings.weights,
            precision,
            self._accelerator,
            self._interruption,
            glossary,
            self._footprint.warm_bytes,
        )
        scorer = emotion_model(settings.weights)
        if scorer is not None:
            self._scorer = EmotionScorer(scorer, self._accelerator, self._footprint.low, self._interruption)
        began = time.monotonic()
        self._warm_up()
        warm_up_seconds = time.monotonic() - began
        sys.stdout.write(
            f"IndexTTS2 {package.version} by {package.name} in {precision} on {self._accelerator.device}"
            f"{', products in TF32' if settings.tf32 else ''}"
            f"{f', in low-memory mode: {self._footprint.why}' if self._footprint.low else ''}\n"
        )
        return Capabilities(
            name="indextts2",
            version=package.version,
            sample_rate=SAMPLE_RATE,
            languages=package.languages,
            voices=tuple(self._voices),
            clone=True,
            emotion=True,
            native_duration=package.native_duration,
            duration_factors=(FASTEST, SLOWEST) if package.native_duration else (1.0, 1.0),
            warm_up_seconds=warm_up_seconds,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        """All of `segments()` as one clip. Raises what it raises."""
        segments = list(self.segments(utterance, cancelled))
        warnings = dict.fromkeys(warning for segment in segments for warning in segment.warnings)
        return Speech(np.concatenate([segment.samples for segment in segments]), SAMPLE_RATE, tuple(warnings))

    def segments(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Generator[SpokenSegment]:
        """The clip in parts, each as soon as it is there. The same utterance and seed give the same samples; after
        `segments_done` the rest has its own level, since nobody knows any more how loud the part before was.

        Raises Cancelled, UtteranceError (before anything is spoken, or for a text that the model's code fails on), and
        what the model does when memory does not suffice for a smaller footprint either, or CUDA fails: the process is
        then of no more use.
        """
        settings = self._settings
        if utterance.small_footprint:
            self._make_room()
        # A clip that is spoken on is cut where it was cut before: its segments are halved, and not made anew.
        small_plan = self._footprint.low or (utterance.small_footprint and not utterance.segments_done)
        reference = self._reference(utterance)
        with self._interruption.watching(cancelled):
            plan = plan_text(
                utterance.text,
                utterance.language,
                settings.package,
                limits_for(settings.segment_tokens, small_plan),
                lru_cache(maxsize=None)(self._model.count_tokens),
            )
        factor, duration_warnings = native_factor(utterance.duration_factor, settings.package)
        arguments, emotion_warnings = self._emotion(utterance.emotion, cancelled)
        warnings = (*plan.warnings, *duration_warnings, *emotion_warnings, *_heard(reference, arguments.reference))
        voicing = _Voicing(
            voice=self._voice(reference),
            emotion=None if arguments.reference is None else self._voice(arguments.reference),
            arguments=arguments,
            duration_factor=factor,
            seed=secrets.randbits(32) if utterance.seed is None else utterance.seed,
            small=utterance.small_footprint,
        )
        self._wear = replace(self._wear, calls=self._wear.calls + 1)
        yield from self._spoken(plan, utterance.segments_done, voicing, warnings, cancelled)

    def recycle_reason(self) -> str | None:
        """Why a fresh process should take over before the next call, or None. Ask it between two calls."""
        growth = self._accelerator.used_bytes() - self._baseline_bytes
        wear = replace(self._wear, seconds=time.monotonic() - self._born, growth_bytes=growth)
        return recycle_reason(wear, self._settings.recycle)

    def _spoken(
        self, plan: Plan, done: int, voicing: _Voicing, warnings: tuple[str, ...], cancelled: Callable[[], bool]
    ) -> Generator[SpokenSegment]:
        joiner = Joiner(SAMPLE_RATE, plan.segments[done - 1][0].pause if done else None)
        for number, (segment, tokens) in enumerate(plan.segments[done:], start=done):
            with self._text_at_fault():
                parts = self._parts(segment, tokens, number, voicing, cancelled)
            if any(sound.cut for _, sound in parts):
                warnings += (
                    "speech_cut: the model stopped before the end of a sentence: split it, or say it otherwise",
                )
            joined = [joiner.add(sound.samples, part.pause) for part, sound in parts]
            samples = np.concatenate(joined)
            if not samples.size:
                warnings += ("text_unspoken: the model made no sound for a part of the text",)
            last = number == len(plan.segments) - 1
            yield SpokenSegment(samples, SAMPLE_RATE, warnings, last, segment.text, segment.language)
            warnings = ()

    def _parts(
        self, segment: Segment, tokens: int, number: int, voicing: _Voicing, cancelled: Callable[[], bool]
    ) -> list[tuple[Segment, Sound]]:
        """The segment in one piece; in smaller ones if memory did not suffice or the model stopped too early."""
        too_large = voicing.small and tokens > SMALL_TOKENS
        sound = None
        if not too_large:
            sound = self._one_try(segment, tokens, segment_seed(voicing.seed, number, 0), voicing, cancelled)
        if sound is not None and not sound.cut:
            return [(segment, sound)]
        if sound is None and not too_large:
            self._wear = replace(self._wear, recoveries=self._wear.recoveries + 1)
            self._make_room()
            voicing = replace(voicing, small=True)
        smaller = halves(segment, self._model.count_tokens, min(SMALL_TOKENS, max(1, tokens // 2)))
        parts: list[tuple[Segment, Sound]] = []
        for place, part in enumerate(smaller, start=1):
            seed = segment_seed(voicing.seed, number, place)
            count = self._model.count_tokens(part.text, part.language)
            parts.append((part, self._call(part, count, seed, voicing, cancelled)))
        return parts

    def _one_try(
        self, segment: Segment, tokens: int, seed: int, voicing: _Voicing, cancelled: Callable[[], bool]
    ) -> Sound | None:
        """None if memory ran out and there is a smaller way. The error is let go of here: it holds on to tensors."""
        try:
            return self._call(segment, tokens, seed, voicing, cancelled)
        except Exception as error:
            if voicing.small or not is_out_of_memory(error):
                raise
            return None

    def _call(
        self, segment: Segment, tokens: int, seed: int, voicing: _Voicing, cancelled: Callable[[], bool]
    ) -> Sound:
        call = Call(
            text=segment.text,
            language=segment.language,
            text_tokens=tokens,
            voice=voicing.voice,
            emotion=voicing.emotion,
            emotion_vector=voicing.arguments.vector,
            emotion_alpha=voicing.arguments.alpha,
            duration_factor=voicing.duration_factor,
            seed=seed,
            parameters=call_parameters(self._settings.generation, tokens, voicing.small),
        )
        with self._interruption.watching(cancelled), ends_after(self._settings.segment_seconds):
            return self._model.speak(call)

    @contextlib.contextmanager
    def _text_at_fault(self) -> Generator[None]:
        """What fails in here without harm to the process is refused: a new one takes minutes to load, and the same text
        would end that one as well.
        """
        try:
            yield
        except (Cancelled, UtteranceError):
            raise
        except Exception as error:
            if breaks_the_process(error):
                raise
            self._wear = replace(self._wear, recoveries=self._wear.recoveries + 1)
            message = f"the model fails on this text ({type(error).__name__}): split it, or say it otherwise"
            raise UtteranceError("speech_failed", message) from error

    def _reference(self, utterance: Utterance) -> Reference:
        if utterance.reference is not None:
            return utterance.reference
        if utterance.voice is not None and utterance.voice not in self._voices:
            there = f"one of {', '.join(self._voices)}" if self._voices else "left out: there is none here"
            raise UtteranceError("voice_not_found", f"voice must be {there}", "voice")
        name = utterance.voice or next(iter(self._voices), None)
        if name is None:
            message = "IndexTTS2 speaks with the voice of a sample: give reference_audio or a stored voice"
            raise UtteranceError("voice_required", message, "voice")
        return self._voices[name]

    def _voice(self, reference: Reference) -> Voice:
        try:
            return Voice(reference.sha256, self._references.path_of(reference))
        except (FileNotFoundError, ReferenceChangedError):
            message = "the voice's sample is no longer what it was when it was checked: send it again"
            raise UtteranceError("reference_lost", message) from None

    def _emotion(
        self, emotion: Emotion | None, cancelled: Callable[[], bool]
    ) -> tuple[EmotionArguments, tuple[str, ...]]:
        if emotion is None or emotion.intensity == 0:
            return EmotionArguments(), ()
        if emotion.type == "audio":
            return emotions.from_reference(emotion), ()
        if emotion.type == "vector":
            assert emotion.vector is not None
            return emotions.from_vector(emotion.vector, emotion.intensity)
        if self._scorer is None:
            return EmotionArguments(), (
                "emotion_unsupported: descriptions need the text-emotion model, which is not among the weights",
            )
        with self._interruption.watching(cancelled):
            scores = self._scorer.score(emotion.description or "")
        if scores is None:
            return EmotionArguments(), ("emotion_unscored: no emotion was found in the description",)
        return emotions.from_scores(scores, emotion.intensity), ()

    def _make_room(self) -> None:
        self._model.forget_voices()
        self._accelerator.release()

    def _warm_up(self) -> None:
        """Speak once in the languages that are normalised, so that the first caller waits for nothing but speech."""
        path = self._folder / "warm-up.wav"
        content = wav(_tone(), SAMPLE_RATE)
        path.write_bytes(content)
        voice = Voice(hashlib.sha256(content).hexdigest(), str(path))
        voicing = _Voicing(voice, None, EmotionArguments(), 1.0, seed=0, small=False)
        for language, text in _WARM_UP:
            tokens = self._model.count_tokens(text, language)
            self._call(Segment(text, language, 0.0), tokens, 0, voicing, lambda: False)
        if self._scorer is not None:
            self._scorer.score("平静")
        self._make_room()
        self._baseline_bytes = self._accelerator.used_bytes()


def _heard(*references: Reference | None) -> tuple[str, ...]:
    if all(reference is None or reference.seconds <= HEARD_SECONDS for reference in references):
        return ()
    return (f"reference_cut: of a sample the first {HEARD_SECONDS:g} s are heard",)


def _tone() -> np.ndarray:
    """Two seconds that rise and fall like syllables do: what the model warms up on need not be speech."""
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * 180 * seconds) * np.sin(2 * np.pi * 2 * seconds) ** 2).astype(np.float32)
