"""Many short calls in line at one engine, while clients leave and the engine's process is killed: nobody gets another's
sound. A process and its clients, because what may be crossed is on the wire between processes.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
from dataclasses import dataclass, field

import psutil

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, RunningServer
from tests.inference.service.identity_engine import HASTY, digest_of, heard

CLIENTS = 16
REQUESTS = 1500
KILLED_EVERY = 300  # answers
LEAVES = 0.05  # of all requests, whose client does not wait for the answer


@dataclass
class Crowd:
    """Clients that each send one text after the other, no text twice."""

    server: RunningServer
    numbers: list[int] = field(default_factory=lambda: list(range(REQUESTS)))
    dice: random.Random = field(default_factory=lambda: random.Random(3))
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    kills: int = 0

    async def come(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(CLIENTS)))

    async def _one(self) -> None:
        while self.numbers:
            reader, writer = await asyncio.open_unix_connection(str(self.server.socket))
            try:
                while self.numbers and await self._ask(reader, writer):
                    pass
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        text = f"text {self.numbers.pop()}"
        body = json.dumps({"text": text, "voice": self.dice.choice(["default", "low"])}).encode()
        head = f"POST /generate HTTP/1.1\r\nHost: speech\r\nAuthorization: Bearer {KEY}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        if self.dice.random() < LEAVES:
            await writer.drain()
            return False
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        sound = await reader.readexactly(int(headers["content-length"]))
        status = int(lines[0].split()[1])
        self.statuses[status] += 1
        if status == 200:
            voice = json.loads(body)["voice"]
            assert heard(sound) == (digest_of(voice.encode()), digest_of(text.encode()))
        else:
            assert status in (429, 503), sound
            assert int(headers["retry-after"]) >= 1
        if self.statuses.total() // KILLED_EVERY > self.kills:
            self.kills += 1
            self._kill()
        return True

    def _kill(self) -> None:
        for process in psutil.Process(self.server.process.pid).children():
            process.kill()


class TestCallsInLine:
    def test_nobody_gets_the_sound_of_another(self, start_server: StartServer) -> None:
        server = start_server(engine=HASTY)
        crowd = Crowd(server)
        asyncio.run(crowd.come())
        assert crowd.kills >= 4
        assert crowd.statuses[200] > 0.9 * REQUESTS * (1 - LEAVES)
        assert server.generate("and all is well").status_code == 200
        assert server.metric("speech_lane_expected_wait_seconds") == 0
        faults = [line["reason"] for line in server.log("engine_ended")]
        assert set(faults) == {"the engine process was killed by signal 9"}
