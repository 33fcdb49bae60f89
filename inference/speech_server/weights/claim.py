"""Who writes `weights/NAME/`: one at a time, and another one when that one dies.

A claim is the object `filling-N.json`, made only if there is none: of two that come together one gets it. Its holder
writes it anew as long as it works. One that is not renewed any more is over, and whoever sees that makes
`filling-N+1.json`, again only if there is none. (To replace an object on a condition is what OSS and a folder cannot
do.) A holder that was only asleep finds the next claim and stops. What a holder has sent is in its claim, and the next
one does not send it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.place import Kept, WeightsPlace
from speech_server.weights.progress import Progress, gigabytes
from speech_server.weights.together import Stop, StoppedError, check_stop

_MAX_CLAIM_BYTES = 4 << 20
_MAX_GENERATIONS = 10_000
# Both clouds refuse a request whose clock is wrong by more: no two clocks here differ by more than twice this.
_CLOCKS_DIFFER = timedelta(minutes=30)
_SHOWN_HOLDER_CHARS = 100


@dataclass(frozen=True)
class Pace:
    """Seconds. A claim that has not been renewed for `lease` is over."""

    lease: float = 90.0
    renew: float = 20.0
    poll: float = 5.0


@dataclass(frozen=True)
class Sent:
    """An object that was written whole: the sum of its bytes, and what the store said of it."""

    sha256: str
    kept: Kept


@dataclass(frozen=True)
class Claim:
    """`beat` counts the renewals; `sent` is by path."""

    holder: str
    beat: int
    expires: datetime
    held: bool
    stage: str
    done: int
    total: int
    sent: Mapping[str, Sent] = field(default_factory=dict)


def is_over(claim: Claim, now: datetime, unchanged_seconds: float, lease_seconds: float) -> bool:
    """Whether another one may write. `unchanged_seconds`: for how long the reader has seen the same beat, by its own
    clock, which need not be the holder's.
    """
    return not claim.held or unchanged_seconds >= lease_seconds or now > claim.expires + _CLOCKS_DIFFER


def encode(claim: Claim) -> bytes:
    value = {
        "holder": claim.holder,
        "beat": claim.beat,
        "expires": claim.expires.isoformat(),
        "held": claim.held,
        "stage": claim.stage,
        "done": claim.done,
        "total": claim.total,
        "sent": {
            path: {"sha256": one.sha256, "size": one.kept.size, "etag": one.kept.etag}
            for path, one in claim.sent.items()
        },
    }
    return json.dumps(value).encode() + b"\n"


def decode(data: bytes) -> Claim:
    """What is no claim is one that is over."""
    try:
        value = json.loads(data)
        sent = {path: _sent(one) for path, one in value["sent"].items()}
        expires = datetime.fromisoformat(value["expires"])
        if expires.tzinfo is None:
            raise ValueError("no time zone")
        numbers = (int(value["beat"]), int(value["done"]), int(value["total"]))
        holder = ascii(str(value["holder"])[:_SHOWN_HOLDER_CHARS])
        stage = ascii(str(value["stage"])[:_SHOWN_HOLDER_CHARS]).strip("'")
        return Claim(holder, numbers[0], expires, value["held"] is True, stage, numbers[1], numbers[2], sent)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return Claim("", 0, datetime.min.replace(tzinfo=timezone.utc) + _CLOCKS_DIFFER, False, "", 0, 0)


def _sent(value: Any) -> Sent:
    return Sent(str(value["sha256"]), Kept(int(value["size"]), value["etag"]))


class Holder:
    """Holds the claim while the `with` block runs, and says in it how far `progress` is."""

    def __init__(
        self,
        place: WeightsPlace,
        generation: int,
        holder: str,
        sent: Mapping[str, Sent],
        progress: Progress,
        pace: Pace,
    ) -> None:
        self._place = place
        self._generation = generation
        self._name = holder
        self._sent = dict(sent)
        self._progress = progress
        self._pace = pace
        self._beat = 0
        self._lock = threading.Lock()
        self._renewed_at = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_end, name="claim", daemon=True)
        self.stop = Stop()
        self._lost = ""

    @property
    def sent(self) -> Mapping[str, Sent]:
        """By this holder and those before it."""
        return self._sent

    def __enter__(self) -> Holder:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._ending.set()
        self._thread.join()
        if self._lost:
            if isinstance(error, (StoppedError, type(None))):
                raise TransferError(Exit.UNREACHABLE, self._lost) from None
            return
        with contextlib.suppress(TransferError):  # it is over without that too, some time later
            self._renew(held=False)

    def record(self, path: str, sent: Sent) -> None:
        with self._lock:
            self._sent[path] = sent
        self._renew(held=True)

    def check(self) -> None:
        """To be called before what only the holder may do. Raises TransferError if another one has taken over."""
        self._renew(held=True)
        if self._place.read(claim_path(self._generation + 1), _MAX_CLAIM_BYTES) is not None:
            self._lose("another program has taken over")
        if self._lost:
            raise TransferError(Exit.UNREACHABLE, self._lost)

    def _renew_until_end(self) -> None:
        while not self._lost and not self._ending.wait(self._pace.renew):
            with contextlib.suppress(TransferError):  # the next round asks again
                self.check()
            if time.monotonic() - self._renewed_at > self._pace.lease:
                self._lose("the store could not be told for too long that this program is at work")

    def _lose(self, reason: str) -> None:
        self._lost = f"weights/{self._place.name}/: {reason}: stopped; start again, what was sent is not sent again"
        self.stop.set()

    def _renew(self, held: bool) -> None:
        with self._lock:
            self._beat += 1
            expires = datetime.now(timezone.utc) + timedelta(seconds=self._pace.lease)
            progress = self._progress
            claim = Claim(
                self._name, self._beat, expires, held, progress.stage, progress.done, progress.total, dict(self._sent)
            )
            self._place.write(claim_path(self._generation), encode(claim))
            self._renewed_at = time.monotonic()


def take_or_wait(
    place: WeightsPlace, progress: Progress, stop: Stop, is_done: Callable[[], bool], pace: Pace
) -> Holder | None:
    """The claim, taken; None if `is_done()`, which is asked first and again while another one holds the claim.
    Raises TransferError, StoppedError.
    """
    me = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
    seen: tuple[int, int] | None = None
    seen_at = time.monotonic()
    told_at: float | None = None
    while not is_done():
        check_stop(stop)
        generation, claim = newest(place)
        now = time.monotonic()
        if claim is not None and (generation, claim.beat) != seen:
            seen, seen_at = (generation, claim.beat), now
        if claim is None or is_over(claim, datetime.now(timezone.utc), now - seen_at, pace.lease):
            sent = {} if claim is None else claim.sent
            expires = datetime.now(timezone.utc) + timedelta(seconds=pace.lease)
            if place.create(claim_path(generation + 1), encode(Claim(me, 0, expires, True, "", 0, 0, sent))):
                return Holder(place, generation + 1, me, sent, progress, pace)
            continue
        if told_at is None or now - told_at >= 2 * pace.poll:
            told_at = now
            progress.say(
                f"{claim.holder} fills weights/{place.name}/ ({claim.stage or 'begins'}: {gigabytes(claim.done)} of "
                f"{gigabytes(claim.total)}): waiting"
            )
        stop.wait(pace.poll)
    return None


def newest(place: WeightsPlace) -> tuple[int, Claim | None]:
    """The number of the newest claim and what it says; (0, None) if there never was one."""
    generation, data = 0, None
    while generation < _MAX_GENERATIONS:
        found = place.read(claim_path(generation + 1), _MAX_CLAIM_BYTES)
        if found is None:
            return generation, None if data is None else decode(data)
        generation, data = generation + 1, found
    raise TransferError(Exit.CONTENT, f"weights/{place.name}/ has {generation:,} claims: delete filling-*.json there")


def claim_path(generation: int) -> str:
    return f"filling-{generation}.json"
