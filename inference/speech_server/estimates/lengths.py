"""How long each voice takes for a text, learned from what it spoke: by client, language and voice.

What a client's clips teach is for that client alone. Of all others it gets the median over the clients that were heard
last, in which each has one vote, and the prior one: whoever has strange texts spoken, on purpose or not, makes nobody
else's estimates worse by more than one vote can.

It is kept in memory and nowhere else: a voice is learned within a few clips, and what was learned of another version of
the model, or on a node that had other weights, would be wrong without anybody seeing why.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from speech_server.estimates.pace import FURTHEST, Pace
from speech_server.estimates.prior import Prior, prior_of

# Least recently heard goes first. A voice that was forgotten is estimated as the client's others are.
_MOST_CLIENTS = 256
_MOST_VOICES = 256  # of a client
_VOTERS = 31  # clients whose median is taken
_VOICE_MEMORY, _CLIENT_MEMORY = 20.0, 60.0  # clips
# A clip shorter than this says less: a breath more or less is much of it.
_FULL_WEIGHT_SECONDS = 3.0
_VOTE_WEIGHT = 3.0  # clips that make a client's pace worth telling others
_SURE_WEIGHT = 3.0  # clips after which a voice's own spread is believed
# What an estimate may be wrong by, as a factor: before a voice is known, and at its best.
_UNKNOWN_ERROR, _LEAST_ERROR = 1.25, 1.08
_SPREADS = 1.5  # that most clips lie within, as three quarters do of a normal distribution
_LEAST_HEARD = 0.01

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True)
class Expected:
    """A clip before it is spoken, at its natural pace. `seconds` is right within the factor `error`, most often."""

    prior: Prior
    client: str
    voice: Hashable
    seconds: float
    error: float

    def unlearned(self) -> Expected:
        """What is expected with nothing learned: the same for the same text, on whatever node and day."""
        return Expected(self.prior, self.client, self.voice, self.prior.seconds, _UNKNOWN_ERROR)


@dataclass(slots=True)
class _Client:
    languages: dict[str, Pace] = field(default_factory=dict)
    voices: OrderedDict[tuple[Hashable, str], Pace] = field(default_factory=OrderedDict)


class Lengths:
    """`expect()` a clip, and `learn()` what became of it."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._medians: dict[str, float] = {}

    def expect(self, text: str, language: str | None, client: str, voice: Hashable) -> Expected:
        """`language`: the BCP 47 tag that came with the text, if one did, of a language that the engine speaks.
        `voice`: whatever tells the client's voices from one another.
        """
        prior = prior_of(text, language)
        pace, error = self._median(prior.language), _UNKNOWN_ERROR
        known = self._clients.get(client)
        if known is not None and prior.language in known.languages:
            pace = known.languages[prior.language].value(pace)
            own = known.voices.get((voice, prior.language))
            if own is not None:
                pace = own.value(pace)
                if own.weight >= _SURE_WEIGHT:
                    error = min(_UNKNOWN_ERROR, max(_LEAST_ERROR, math.exp(_SPREADS * own.spread)))
        return Expected(prior, client, voice, prior.seconds * math.exp(pace), error)

    def learn(self, expected: Expected, natural_seconds: float) -> None:
        """The clip was `natural_seconds` (> 0) long, before it was fitted to any other length."""
        language = expected.prior.language
        log_heard = math.log(max(_LEAST_HEARD, natural_seconds) / expected.prior.seconds)
        heard = min(FURTHEST, max(-FURTHEST, log_heard))
        weight = min(1.0, expected.prior.seconds / _FULL_WEIGHT_SECONDS)
        client = _recent(self._clients, expected.client, _Client, _MOST_CLIENTS)
        of_language = client.languages.setdefault(language, Pace(_CLIENT_MEMORY))
        of_voice = _recent(client.voices, (expected.voice, language), lambda: Pace(_VOICE_MEMORY), _MOST_VOICES)
        parent = self._median(language)
        of_voice.learn(heard, weight, of_language.value(parent))
        of_language.learn(heard, weight, parent)
        self._medians.pop(language, None)

    def _median(self, language: str) -> float:
        """Of what the clients heard last know of the language, and the prior; 0 if none does."""
        found = self._medians.get(language)
        if found is None:
            found = self._medians[language] = _middle([0.0, *self._votes(language)])
        return found

    def _votes(self, language: str) -> list[float]:
        votes: list[float] = []
        for client in reversed(self._clients.values()):
            pace = client.languages.get(language)
            if pace is not None and pace.weight >= _VOTE_WEIGHT:
                votes.append(pace.mean)
                if len(votes) == _VOTERS:
                    break
        return votes


def _recent(values: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value], most: int) -> _Value:
    """The value of `key`, now the last one to go; a new one makes room for itself."""
    value = values.get(key)
    if value is None:
        value = values[key] = make()
        if len(values) > most:
            values.popitem(last=False)
    values.move_to_end(key)
    return value


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
