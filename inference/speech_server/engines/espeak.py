"""The `espeak` engine: speech by rules, no weights, no GPU. For trying the service, for tests, and for CI."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np

from speech_server.audio.levels import audible_span, with_soft_ends
from speech_server.engines.base import Cancelled, Capabilities, Speech, SpeechSegment, Utterance, UtteranceError
from speech_server.engines.espeak_library import SAMPLE_RATE, Session, open_session
from speech_server.engines.espeak_plan import SENTENCE_PAUSE, Plan, Segment, plan_speech

# voice -> variant of the library; f3 is pitched at about 190 Hz, the default at about 95 Hz
VOICES = {"default": "", "female": "+f3"}
_VOICE_OF_LANGUAGE = {"zh": "cmn-latn-pinyin", "en": "en-us", "ko": "ko", "ja": "ja"}
_KNOWN_LANGUAGES = frozenset({*_VOICE_OF_LANGUAGE, "cmn"})
# The library's silence is exact zeros; 16-bit -60 dBFS lies below the faintest h or f that it makes.
_AUDIBLE = 0.001
# 4,096 Chinese characters take 18 minutes; only texts made for it, of signs with long names, take an hour
_LONGEST_SECONDS = 3600


class EspeakEngine:
    """English and Mandarin, Korean, and Japanese in kana. Equal utterances give equal samples: a seed does nothing,
    and nothing needs a smaller footprint.
    """

    def load(self) -> Capabilities:
        """Check that the library and every voice load. Raises EspeakError."""
        with open_session() as session:
            for variant in VOICES.values():
                for voice in _VOICE_OF_LANGUAGE.values():
                    session.set_voice(voice + variant)
            version = session.version
        plan_speech("热身 warm", None)
        return Capabilities(
            name="espeak",
            version=version,
            sample_rate=SAMPLE_RATE,
            languages=("zh", "en", "ko"),
            voices=tuple(VOICES),
            clone=False,
            emotion=False,
            native_duration=False,
        )

    def speak(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Speech:
        """All of `segments()` as one clip. Raises what it raises."""
        segments = list(self.segments(utterance, cancelled))
        samples = np.concatenate([segment.samples for segment in segments])
        return Speech(samples, SAMPLE_RATE, segments[0].warnings)

    def segments(self, utterance: Utterance, cancelled: Callable[[], bool]) -> Generator[SpeechSegment]:
        """A sentence each. Raises Cancelled, and UtteranceError for an unknown voice, a text of which nothing can be
        spoken, and one that takes more than an hour.
        """
        voice = utterance.voice or next(iter(VOICES))
        if voice not in VOICES:
            raise UtteranceError("voice_not_found", f"voice must be one of {', '.join(VOICES)}, not {voice!r}", "voice")
        plan = plan_speech(utterance.text, utterance.language, cancelled)
        warnings = _warnings(utterance, plan)
        sentences = _sentences(plan.segments)
        anything = False
        with open_session() as session:
            # What is left out is said all the same, in no time: the library's state is part of how the rest sounds.
            for number, pieces in enumerate(_spoken(session, sentences, VOICES[voice], cancelled), start=1):
                anything = anything or bool(pieces)
                last = number == len(sentences)
                if last and not anything:
                    break
                if number > utterance.segments_done:
                    samples = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
                    yield SpeechSegment(samples, SAMPLE_RATE, warnings, last)
                    warnings = ()
        if not anything:
            raise _nothing_to_speak(plan)


def _sentences(segments: tuple[Segment, ...]) -> list[list[Segment]]:
    sentences: list[list[Segment]] = []
    ended = True
    for segment in segments:
        if ended:
            sentences.append([])
        sentences[-1].append(segment)
        ended = segment.pause >= SENTENCE_PAUSE
    return sentences


def _spoken(
    session: Session, sentences: list[list[Segment]], variant: str, cancelled: Callable[[], bool]
) -> Iterator[list[np.ndarray]]:
    """The sound of each sentence with the pauses between, that after it in front of the next that can be heard."""
    total = 0
    pause: float | None = None
    language = ""
    for sentence in sentences:
        pieces: list[np.ndarray] = []
        for segment in sentence:
            if segment.language != language:
                language = segment.language
                session.set_voice(_VOICE_OF_LANGUAGE[language] + variant)
            samples = session.say(segment.text, cancelled, phonemes=language == "zh")
            if samples is None:
                raise Cancelled
            start, end = audible_span(samples, SAMPLE_RATE, _AUDIBLE)
            if start == end:
                continue
            if pause is not None:
                pieces.append(np.zeros(round(pause * SAMPLE_RATE), dtype=np.float32))
            pieces.append(with_soft_ends(samples[start:end], SAMPLE_RATE))
            total += samples.size
            if total > _LONGEST_SECONDS * SAMPLE_RATE:
                raise UtteranceError("speech_too_long", "the text takes more than an hour to speak: split it")
            pause = segment.pause
        yield pieces


def _warnings(utterance: Utterance, plan: Plan) -> tuple[str, ...]:
    warnings: list[str] = []
    if utterance.reference is not None:
        warnings.append("cloning_unsupported: espeak speaks with its own voice, not with the reference's")
    if utterance.emotion is not None:
        warnings.append("emotion_unsupported: espeak speaks without emotion")
    if utterance.duration_factor is not None:
        warnings.append("duration_unsupported: espeak speaks at its own pace")
    if utterance.language is not None and utterance.language.split("-")[0].lower() not in _KNOWN_LANGUAGES:
        warnings.append("language_unsupported: espeak has no voice here for the language asked for, and goes by script")
    warnings.extend(f"language_unsupported: {kind} left unspoken: {found}" for kind, found in _found(plan))
    return tuple(warnings)


def _nothing_to_speak(plan: Plan) -> UtteranceError:
    if not plan.unspoken:
        return UtteranceError("no_speech", "the text holds no letter or digit that can be spoken")
    kinds = "; ".join(f"{kind}: {found}" for kind, found in _found(plan))
    return UtteranceError(
        "language_unsupported",
        f"espeak speaks Chinese, English, Korean and Japanese kana, and the text holds only others ({kinds})",
    )


def _found(plan: Plan) -> list[tuple[str, str]]:
    """Kinds of unspoken letters with examples as U+XXXX, which any header can carry."""
    return [(kind, " ".join(f"U+{ord(letter):04X}" for letter in letters)) for kind, letters in plan.unspoken.items()]
