"""What a job queue is: the contract that `sqlite://`, `sqs://` and `smq://` each keep in a file of their own.

Delivery is at least once and in no strict order. A message that was received is invisible to others until its lease
ends; one that was received `MAX_TRIES` times and neither deleted nor given back becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_TRIES = 3
"""Nodes that may take a message before it is a dead letter; the queues of a stack are made with the same figure."""


class QueueError(Exception):
    """The queue could not be reached or refused; the message has no credentials and no message's body in it."""


@dataclass(frozen=True)
class Message:
    """One delivery. `tries` counts deliveries, this one included; `receipt` belongs to this delivery alone."""

    id: str
    body: str
    receipt: str
    tries: int


@dataclass(frozen=True)
class Depth:
    """How many messages there are; approximate for a queue in a cloud."""

    waiting: int  # those that may be received now
    delayed: int  # sent to be received later
    in_flight: int  # received and not yet deleted
    dead: int


class Queue(Protocol):
    """Every call raises QueueError. Bodies are text of at most 32 KiB."""

    max_delay_seconds: int
    """The longest delay that `send` takes."""

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        """All are durable when this returns; after an error some may be."""
        ...

    async def receive(self, most: int, wait_seconds: float, lease_seconds: int) -> list[Message]:
        """Up to `most` messages (at most 10), as soon as there is one, or none after `wait_seconds` (at most 20)."""
        ...

    async def extend(self, message: Message, lease_seconds: int) -> Message | None:
        """Keep it for so long from now: the message with the receipt to use from here on; None if it is lost."""
        ...

    async def delete(self, message: Message) -> None:
        """It is done. One whose lease has ended may come again."""
        ...

    async def retry(self, message: Message, delay_seconds: int) -> None:
        """This try failed: the next may be made after `delay_seconds`."""
        ...

    async def give_back(self, message: Message) -> None:
        """It was not tried: others may receive it at once, and this delivery is not counted."""
        ...

    async def depth(self) -> Depth: ...

    async def dead_letters(self, most: int) -> list[Message]:
        """Dead letters, oldest first where the queue can tell. They stay where they are."""
        ...

    async def redrive(self, letter: Message, body: str) -> None:
        """Send `body` in the place of a dead letter and take the letter away."""
        ...

    async def close(self) -> None: ...
