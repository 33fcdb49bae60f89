"""The parts of jobs with a real file store and SQLite queue, a stand-in for the speaking, and a clock of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from speech_server.auth import KeyRing
from speech_server.dedup import Answer
from speech_server.errors import ApiError, retry_later
from speech_server.jobs.acceptance import Acceptance
from speech_server.jobs.completion import Completion
from speech_server.jobs.dead_letters import DeadLetters
from speech_server.jobs.ledger import Ledger
from speech_server.jobs.request import JobRequest
from speech_server.jobs.speaking import ClipSpeaker
from speech_server.jobs.telling import Telling
from speech_server.jobs.tidying import Tidying
from speech_server.jobs.views import Views
from speech_server.jobs.work import Fate, Verdict, Work
from speech_server.notify.webhook import NotToldError, Webhooks
from speech_server.order import SpeechOrder
from speech_server.pipeline import Pipeline
from speech_server.queues.base import Message, QueueError
from speech_server.queues.sqlite import SqliteQueue
from speech_server.reference_store import ReferenceStore
from speech_server.storage.open_store import open_store
from speech_server.storage.store import Store, StoreError
from speech_server.voices.registry import Voices

KEY = "key-of-the-studio-1"


class Speaker:
    """Speaks what it is given at once. `errors`: text -> what is raised instead."""

    max_text_chars = 4096

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.errors: dict[str, ApiError] = {}
        self.speaker = self
        self.host = self
        self.capabilities = self
        self.voices = ("default",)

    async def engine(self) -> Speaker:
        return self

    async def make_clip(self, order: SpeechOrder, client: str, begun: Callable[[float], None]) -> Answer:
        begun(0.1)
        if order.text in self.errors:
            raise self.errors[order.text]
        self.spoken.append(order.text)
        headers = {
            "X-Audio-Seconds": "1.5",
            "X-Natural-Seconds": "1.5",
            "X-Synthesis-Seconds": "0.1",
            "X-Engine": "e/1",
        }
        return Answer(f"sound of {order.text}".encode(), "audio/wav", tuple(headers.items()))


class Telephone:
    """Takes webhook calls instead of the network. `failures` of them are answered with an error first."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.failures = 0
        self.gone = False

    async def send(self, url: str, message_id: str, now: object, body: bytes, secrets: object) -> None:
        self.calls.append((url, message_id, body))
        if self.gone:
            raise NotToldError("answered 410", final=True)
        if self.failures:
            self.failures -= 1
            raise NotToldError("answered 500")


class BrokenQueue(SqliteQueue):
    """`fail_sends`: so many of them are refused, `lie` also when the message did arrive."""

    fail_sends = 0
    lie = False

    async def send(self, bodies: Any, delay_seconds: int = 0) -> None:
        if self.fail_sends:
            self.fail_sends -= 1
            if self.lie:
                await super().send(bodies, delay_seconds)
            raise QueueError("the test refuses")
        await super().send(bodies, delay_seconds)


@dataclass
class Workshop:
    folder: Path
    now: float = 1_700_000_000.0
    speaker: Speaker = field(default_factory=Speaker)
    telephone: Telephone = field(default_factory=Telephone)

    def __post_init__(self) -> None:
        clock = lambda: self.now  # noqa: E731 - the tests move it
        keys = self.folder / "keys.json"
        keys.write_text(f'{{"studio": "{KEY}"}}')
        keys.chmod(0o600)
        (self.folder / "store").mkdir(exist_ok=True)
        self.store: Store = open_store(f"file://{self.folder / 'store'}", None)
        self.queue = BrokenQueue(self.folder / "queue.sqlite", clock)
        self.ledger = Ledger(self.store, clock)
        self.views = Views(self.store)
        pipeline = cast(Pipeline, self.speaker)
        voices = Voices(self.store, self.folder / "work")
        webhooks = cast(Webhooks, self.telephone)
        self.telling = Telling(self.queue, self.ledger, self.views, KeyRing(keys), webhooks, None, clock)
        self.completion = Completion(self.ledger, together_seconds=0, clock=clock)
        speaking = ClipSpeaker(self.store, pipeline, voices, clock)
        self.work = Work(self.store, self.queue, self.ledger, speaking, self.completion, self.telling, clock)
        references = ReferenceStore(self.folder / "work")
        self.acceptance = Acceptance(
            self.store, self.queue, self.ledger, pipeline, references, voices, loopback_webhooks=False, clock=clock
        )
        self.dead_letters = DeadLetters(self.queue, self.ledger, self.work)
        self.tidying = Tidying(self.store, self.queue, self.ledger, result_days=7, clock=clock)

    async def accept(self, key: str | None = None, client: str = "studio", **body: Any) -> Any:
        order, _ = await self.acceptance.accept(JobRequest.model_validate(body), client, key)
        return order

    async def take(self) -> Message | None:
        messages = await self.queue.receive(1, 0, 60)
        return messages[0] if messages else None

    async def settle(self, message: Message, verdict: Verdict) -> None:
        """As the runner does."""
        if verdict.fate is Fate.DONE:
            await self.queue.delete(message)
        elif verdict.fate is Fate.GIVE_BACK:
            await self.queue.give_back(message)
        else:
            await self.queue.retry(message, verdict.seconds)

    async def do_one(self) -> Verdict | None:
        """Do what comes next; None if the queue is empty."""
        message = await self.take()
        if message is None:
            return None
        verdict = await self.work.do(message, lambda: None, lambda _: None)
        await self.settle(message, verdict)
        return verdict

    async def do_all(self) -> int:
        count = 0
        while await self.do_one() is not None:
            count += 1
            assert count < 2000
        return count

    async def close(self) -> None:
        await self.telling.close()
        await self.queue.close()
        self.store.close()


class FlakyStore:
    """Put before the store's put: the calls with these numbers fail, after having been carried out if `late`."""

    def __init__(self, store: Store, failing: set[int], late: bool) -> None:
        self.count = 0
        self.failing = failing
        self.late = late
        self.inner = store.put
        store.put = self.put  # ty: ignore[invalid-assignment]

    async def put(self, key: str, data: bytes, media_type: str, *, create: bool = False) -> None:
        self.count += 1
        if self.count not in self.failing:
            await self.inner(key, data, media_type, create=create)
            return
        if self.late:
            await self.inner(key, data, media_type, create=create)
        raise StoreError("the test refuses")


def in_workshop(folder: Path, test: Callable[[Workshop], Awaitable[None]]) -> None:
    async def whole() -> None:
        shop = Workshop(folder)
        try:
            await test(shop)
        finally:
            await shop.close()

    asyncio.run(whole())


def engine_failed() -> ApiError:
    return retry_later(503, "engine_failed", "the engine failed twice", 1)
