"""The wire to the engine process, and the process itself without a server around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from speech_server.engines import ENGINES, engine_path, frames
from speech_server.engines.base import Emotion, Reference, Spoken, Utterance, UtteranceError
from speech_server.engines.call_line import Call, CallLine, NotBegunError
from speech_server.engines.host import BACKOFF, EngineHost, EngineNotReadyError, restart_delay
from speech_server.engines.pool import EnginePool
from speech_server.engines.worker_process import EngineFaultError, WorkerProcess
from tests.inference.server.running_server import ROOT, STRICT
from tests.inference.server.segmenting_engine import ENGINE as SEGMENTING
from tests.inference.server.strict_engine import VOICES


def utterance(text: str, **fields: object) -> Utterance:
    plain = Utterance(
        text=text,
        language=None,
        voice=None,
        reference=None,
        emotion=None,
        duration_factor=None,
        seed=None,
        small_footprint=False,
    )
    return Utterance(**{**vars(plain), **fields})  # ty: ignore[invalid-argument-type]


def unpacked(*chunks: bytes) -> list[frames.Frame]:
    unpacker = frames.Unpacker()
    found = [frame for chunk in chunks for frame in unpacker.feed(chunk)]
    assert not unpacker.inside
    return found


class TestFrames:
    @given(st.text(), st.binary(max_size=100), st.integers(1, 40))
    def test_what_was_packed_arrives_in_whatever_pieces(self, text: str, payload: bytes, size: int) -> None:
        packed = frames.pack({"op": "x", "text": text}, len(payload)) + payload
        expected = ({"op": "x", "text": text}, payload)
        assert unpacked(packed) == [expected]
        twice = packed * 2
        assert unpacked(twice) == [expected, expected]
        assert unpacked(*(twice[start : start + size] for start in range(0, len(twice), size))) == [expected, expected]

    def test_a_frame_that_is_not_whole_is_told(self) -> None:
        unpacker = frames.Unpacker()
        packed = frames.pack({"op": "x"}, 3) + b"abc"
        assert not list(unpacker.feed(packed[:-1]))
        assert unpacker.inside
        assert list(unpacker.feed(packed[-1:])) == [({"op": "x"}, b"abc")]
        assert not unpacker.inside

    @pytest.mark.parametrize(
        "data",
        [
            struct.pack("!II", 2, 0) + b"{",
            struct.pack("!II", 2, 0) + b"{}",
            struct.pack("!II", 2, 0) + b"[]",
            struct.pack("!II", 2, 0) + b"\xff\xff",
            struct.pack("!II", 0, 0),
            struct.pack("!II", 2**32 - 1, 0),
            struct.pack("!II", 2, 2**32 - 1) + b"{}",
        ],
    )
    def test_nonsense_is_refused_without_waiting_for_its_size(self, data: bytes) -> None:
        with pytest.raises(frames.FrameError):
            unpacked(data + b"}")
        with pytest.raises(frames.FrameError):
            unpacked(*(bytes([byte]) for byte in data + b"}"))

    def test_an_utterance_arrives_as_it_was(self) -> None:
        reference = Reference(sha256="0" * 64, path="/samples/0.wav", seconds=2.5)
        emotions = [
            None,
            Emotion(type="vector", description=None, vector=(0.0,) * 8, reference=None, intensity=0.5),
            Emotion(type="audio", description=None, vector=None, reference=reference, intensity=1.0),
        ]
        for emotion in emotions:
            sent = utterance("你好\n\u2028", voice="low", reference=reference, emotion=emotion, seed=2**32 - 1)
            packed = frames.pack({"op": "speak", "utterance": frames.utterance_to_wire(sent)})
            header, _ = unpacked(packed)[0]
            assert frames.utterance_from_wire(header["utterance"]) == sent


class TestNames:
    def test_registered_engines_and_import_paths(self) -> None:
        assert engine_path("espeak") == ENGINES["espeak"]
        assert engine_path("my.engines:Mine") == "my.engines:Mine"

    @pytest.mark.parametrize("name", ["", "nothing", "os", ":X", "a.b:", "a..b:C", "a b:C", "a:b.c", "../x:Y"])
    def test_what_is_neither(self, name: str) -> None:
        with pytest.raises(ValueError, match="use one of espeak"):
            engine_path(name)


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRICT_ENGINE_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'inference'}{os.pathsep}{ROOT}")
    return tmp_path


def with_worker(scenario: Callable[[WorkerProcess], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = await WorkerProcess.start(STRICT)
        try:
            assert (await worker.loaded(30)).voices == VOICES
            await scenario(worker)
        finally:
            worker.kill("the test ends")
            await worker.gone()

    asyncio.run(run())


@pytest.mark.usefixtures("control")
class TestWorkerProcess:
    def test_a_call_that_comes_while_it_is_dying_fails_as_one_of_a_dead_engine(self) -> None:
        """On the server's own event loop, which refuses to write to what is closing."""

        async def one(steps: int) -> None:
            worker = await WorkerProcess.start(STRICT)
            try:
                await worker.loaded(30)
                os.kill(worker.pid, signal.SIGKILL)
                os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # the loop learns of it in so many steps
                for _ in range(steps):
                    await asyncio.sleep(0)
                with pytest.raises(EngineFaultError, match="killed by signal 9"):
                    await worker.speak(utterance("hello"), 10)
                assert not worker.usable
            finally:
                await worker.gone()

        async def run() -> None:
            for steps in range(4):
                await one(steps)

        uvloop.run(run())

    def test_a_start_that_is_broken_off_leaves_no_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def run() -> None:
            started = asyncio.Event()

            async def never(*_: object, **__: object) -> None:
                started.set()
                await asyncio.Event().wait()

            monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", never)
            before = psutil.Process().children()
            starting = asyncio.create_task(WorkerProcess.start(STRICT))
            await started.wait()
            assert psutil.Process().children() != before
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert psutil.Process().children() == before

        asyncio.run(run())

    def test_it_speaks_refuses_is_cancelled_and_dies(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            spoken = await worker.speak(utterance("twenty characters ok"), 10)
            assert (spoken.samples, spoken.sample_rate, spoken.seconds) == (22_050, 22_050, 1.0)
            loudest = np.abs(np.frombuffer(spoken.pcm, dtype="<i2")).max()
            assert loudest == pytest.approx(0.5 * 32767, abs=2)

            with pytest.raises(UtteranceError) as refused:
                await worker.speak(utterance("refuse"), 10)
            assert refused.value.code == "language_unsupported"

            call = asyncio.create_task(worker.speak(utterance("gate never"), 10))
            while not (control / "calls.jsonl").read_text().count("gate never"):
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await worker.speak(utterance("again"), 10)).samples

            with pytest.raises(EngineFaultError, match="no sound") as silent:
                await worker.speak(utterance("nan"), 10)
            assert not silent.value.out_of_memory
            assert worker.usable

            with pytest.raises(EngineFaultError, match=r"ended \(7\)"):
                await worker.speak(utterance("crash"), 10)
            with pytest.raises(EngineFaultError):
                await worker.speak(utterance("too late"), 10)
            assert "ended (7)" in await worker.gone()

        with_worker(scenario)

    def test_a_large_clip_comes_whole(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            spoken = await worker.speak(utterance("x" * 10_000), 30)
            assert spoken.samples == 10_000 * 0.05 * 22_050

        with_worker(scenario)

    def test_it_ends_when_its_server_is_gone(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            process = psutil.Process(worker.pid)
            call = asyncio.create_task(worker.speak(utterance("hang"), 30))
            await asyncio.sleep(0)
            worker._connection.close()  # as the system does when the server dies
            with pytest.raises(EngineFaultError):
                await call
            await asyncio.to_thread(process.wait, 60)

        with_worker(scenario)

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
            b"\xff" * 8,
            frames.pack({"op": "speech"}),
            frames.pack({"op": "ready", "capabilities": None}),
        ],
    )
    def test_one_that_sends_nonsense_is_killed(self, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            call = asyncio.create_task(worker.speak(utterance("hang"), 10))
            await asyncio.sleep(0)
            worker._loaded = asyncio.get_running_loop().create_future()
            worker._connection.data_received(sent)
            with pytest.raises(EngineFaultError, match="sent nonsense"):
                await call
            assert not worker.usable

        with caplog.at_level(logging.CRITICAL):
            with_worker(scenario)

    def test_a_lack_of_memory_is_told_from_other_faults(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            with pytest.raises(EngineFaultError, match="OutOfMemoryError") as fault:
                await worker.speak(utterance("memory"), 10)
            assert fault.value.out_of_memory

        with_worker(scenario)

    def test_an_answer_out_of_turn_is_nonsense(self, caplog: pytest.LogCaptureFixture) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            calls = [asyncio.create_task(worker.speak(utterance("hang"), 10)) for _ in range(2)]
            await asyncio.sleep(0)
            header = {"op": "speech", "id": worker._calls, "sample_rate": 22_050, "warnings": []}
            worker._connection.data_received(frames.pack(header, 2) + b"\0\0")
            for call in calls:
                with pytest.raises(EngineFaultError, match="sent nonsense"):
                    await call

        with caplog.at_level(logging.CRITICAL):
            with_worker(scenario)


@pytest.mark.usefixtures("control")
class TestCallsInLine:
    """The test engine kills itself if two calls meet in it."""

    def test_they_are_done_one_after_the_other(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            texts = ["gate first", "ab", "refuse", "abcd"]
            calls = [asyncio.create_task(worker.speak(utterance(text), 10)) for text in texts]
            parts = asyncio.create_task(said(worker, "in parts"))
            await asyncio.sleep(0)
            (control / "first").touch()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answers[2], UtteranceError)
            assert [answer.seconds for answer in answers if isinstance(answer, Spoken)] == [0.5, 0.1, 0.2]
            assert len(await parts) == 1
            assert called(control) == [*texts, "in parts"]

        with_worker(scenario)

    def test_one_that_is_cancelled_before_its_turn_never_gets_to_the_engine(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            first, second, third = (
                asyncio.create_task(worker.speak(utterance(text), 10)) for text in ("gate open", "nobody", "third")
            )
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second  # while the engine is at the first
            assert not first.done()
            (control / "open").touch()
            assert (await first).samples
            assert (await third).samples
            assert called(control) == ["gate open", "third"]

        with_worker(scenario)

    def test_those_behind_one_that_is_cancelled_go_on(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            first, second = (
                asyncio.create_task(worker.speak(utterance(text), 10)) for text in ("gate never", "second")
            )
            while not called(control):
                await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert (await second).samples

        with_worker(scenario)

    @pytest.mark.parametrize(
        "fault, reason", [("crash", r"ended \(7\)"), ("fail", "RuntimeError"), ("memory", "Memory")]
    )
    def test_a_fault_is_the_first_ones_alone(self, fault: str, reason: str) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            first, *others = (
                asyncio.create_task(worker.speak(utterance(text), 10)) for text in (fault, "second", "third")
            )
            with pytest.raises(EngineFaultError, match=reason) as met:
                await first
            assert not isinstance(met.value, NotBegunError)
            for call in others:
                with pytest.raises(NotBegunError, match=reason):
                    await call

        with_worker(scenario)

    def test_one_that_retires_leaves_those_behind_unbegun(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            first, second = (asyncio.create_task(worker.speak(utterance("hang"), 10)) for _ in range(2))
            await asyncio.sleep(0)
            header = {"op": "speech", "id": worker._calls - 1, "sample_rate": 22_050, "warnings": [], "recycle": "worn"}
            worker._connection.data_received(frames.pack(header, 2) + b"\0\0")
            assert (await first).samples == 1
            with pytest.raises(NotBegunError, match="worn"):
                await second
            assert worker.recycled

        with_worker(scenario)

    def test_the_time_of_each_runs_from_its_turn(self) -> None:
        async def run() -> None:
            killed: list[str] = []
            line = CallLine(killed.append)
            waiting = [asyncio.get_running_loop().create_future() for _ in range(3)]
            for number, (answer, seconds) in enumerate(zip(waiting, (1e9, 0.0, 1e9), strict=True)):
                line.add(Call(number, answer, seconds, f"{number} took too long", False))
            await asyncio.sleep(0.001)  # in which a running time of no seconds would be up
            assert not killed
            line.end_first().succeed(None)
            while not killed:
                await asyncio.sleep(0)
            assert killed == ["1 took too long"]
            last = line.give_up()[-1]
            assert not line.hasten(last, 0.0, "late")
            assert line.first is None

        asyncio.run(run())


def called(control: Path) -> list[str]:
    """The texts that the engine began with, in order."""
    path = control / "calls.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [event["text"] for event in events if event["event"] == "call"]


def with_segments(scenario: Callable[[WorkerProcess], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = await WorkerProcess.start(SEGMENTING)
        try:
            assert (await worker.loaded(30)).segments
            await scenario(worker)
        finally:
            worker.kill("the test ends")
            await worker.gone()

    asyncio.run(run())


async def said(worker: WorkerProcess, text: str, **fields: object) -> list[Spoken]:
    return [part async for part in worker.segments(utterance(text, **fields), 10)]


@pytest.mark.usefixtures("control")
class TestSegments:
    def test_put_together_they_are_the_whole(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            for text in ("one", "one|two", "silent|two|silent|silent|five", "one|silent", "1|2|3|4|5|6|7|8"):
                parts = await said(worker, text)
                assert b"".join(part.pcm for part in parts) == (await worker.speak(utterance(text), 10)).pcm
                assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
                assert parts[-1].segments_done == text.count("|") + 1

        with_segments(scenario)

    def test_each_is_there_before_the_next_and_warnings_come_with_it(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            call = worker.segments(utterance("one|warn silent|gate next"), 10)
            first = await anext(call)
            assert (first.last, first.segments_done, first.warnings) == (False, 1, ())
            (control / "next").touch()
            rest = [part async for part in call]
            assert rest[-1].last
            assert [warning for part in rest for warning in part.warnings] == ["speech_cut: told late"]

        with_segments(scenario)

    def test_what_came_is_given_before_a_failure(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            parts = []
            with pytest.raises(UtteranceError):
                async for part in worker.segments(utterance("one|two|refuse"), 10):
                    parts.append(part)  # noqa: PERF401 - the failure ends it
            assert parts[-1].segments_done == 2
            rest = await said(worker, "one|two|three", segments_done=2)
            assert len(rest) == 1
            with pytest.raises(EngineFaultError, match="no sound"):
                await said(worker, "silent|silent")
            with pytest.raises(EngineFaultError, match=r"ended \(7\)"):
                await said(worker, "one|crash")

        with_segments(scenario)

    def test_closed_in_the_middle_the_call_is_cancelled(self, control: Path) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            call = worker.segments(utterance("one|gate never"), 10)
            await anext(call)
            await call.aclose()
            assert '"cancelled"' in (control / "calls.jsonl").read_text()
            assert worker.usable
            assert len(await said(worker, "and again")) == 1
            waiting = asyncio.create_task(said(worker, "gate never|two"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(await said(worker, "and once more")) == 1

        with_segments(scenario)

    def test_an_engine_without_segments_gives_one_part(self) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            parts = await said(worker, "all of it|at once")
            assert [part.last for part in parts] == [True]

        with_worker(scenario)

    def test_a_segment_of_a_call_that_is_to_be_whole_is_nonsense(self, caplog: pytest.LogCaptureFixture) -> None:
        async def scenario(worker: WorkerProcess) -> None:
            call = asyncio.create_task(worker.speak(utterance("hang"), 10))
            await asyncio.sleep(0)
            header = {"op": "segment", "id": worker._calls, "sample_rate": 22_050, "warnings": [], "done": 1}
            worker._connection.data_received(frames.pack(header, 2) + b"\0\0")
            with pytest.raises(EngineFaultError, match="sent nonsense"):
                await call

        with caplog.at_level(logging.CRITICAL):
            with_worker(scenario)


class TestHost:
    def test_restarts_come_slower_while_the_engine_keeps_dying(self) -> None:
        delays = [restart_delay(deaths) for deaths in range(1, 12)]
        assert delays[0] == 0
        assert delays == sorted(delays)
        assert delays[-1] == BACKOFF[-1] <= 30

    def test_one_that_is_not_ready_in_time_says_why(self, control: Path) -> None:
        async def run() -> None:
            (control / "fail_to_load").touch()
            host = EngineHost(STRICT, load_seconds=30)
            host.start()
            try:
                with pytest.raises(EngineNotReadyError, match="the engine is loading"):
                    await host.wait_ready(0)
                while host.problem is None:
                    await asyncio.sleep(0.005)
                with pytest.raises(EngineNotReadyError, match="failed to load: RuntimeError: no weights here"):
                    await host.wait_ready(0)
            finally:
                await host.stop()

        asyncio.run(run())

    def test_one_that_takes_too_long_to_load_is_killed(self, control: Path) -> None:
        del control

        async def run() -> None:
            host = EngineHost(STRICT, load_seconds=0.001)
            host.start()
            try:
                while host.problem is None:
                    await asyncio.sleep(0.005)
                assert host.problem == "not loaded within 0.001 s"
                assert host.capabilities is None
            finally:
                await host.stop()

        asyncio.run(run())

    def test_after_a_death_who_cannot_wait_for_the_load_is_told_at_once(self, control: Path) -> None:
        del control

        async def run() -> None:
            host = EngineHost(STRICT, load_seconds=30)
            pool = EnginePool([host])
            pool.start()
            try:
                await host.wait_ready(30)
                host.load_took = 42.0  # as weights take; to wait for this one would succeed
                assert host.pid is not None
                os.kill(host.pid, signal.SIGKILL)
                with pytest.raises(EngineNotReadyError) as refused:
                    while True:
                        with contextlib.suppress(EngineFaultError):
                            await pool.speak(utterance("hello"), 10, 10)
                assert refused.value.retry_seconds == pytest.approx(42, abs=5)
                await host.wait_ready(30)
                assert (await pool.speak(utterance("hello"), 10, 10)).samples
            finally:
                await pool.stop()

        asyncio.run(run())
