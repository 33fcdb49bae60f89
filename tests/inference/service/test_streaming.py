"""Sound before the end of the speech, through the load balancer as users reach the service."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import httpx
import pytest

from tests.inference.server.running_server import KEY, RunningServer, until
from tests.inference.server.segmenting_engine import ENGINE, SAMPLE_RATE, SECONDS_PER_CHARACTER
from tests.inference.service.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), 1, {"first": KEY}, engine=ENGINE) as running:
        yield running


@pytest.fixture
def server(stack: Stack) -> RunningServer:
    return stack.servers[0]


@contextlib.contextmanager
def asked(stack: Stack, text: str, **fields: str) -> Generator[httpx.Response]:
    body = {"input": text, "model": "tts-1", "voice": "default", "response_format": "wav", **fields}
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.stream("POST", f"{stack.url}/v1/audio/speech", json=body, headers=headers, timeout=30) as answer:
        yield answer


def first_segment(chunks: Iterator[bytes], characters: int) -> int:
    """The bytes that came, at least the first segment's with its file's head."""
    size = 0
    while size < 44 + 2 * round(characters * SECONDS_PER_CHARACTER * SAMPLE_RATE):
        size += len(next(chunks))
    return size


class TestThroughTheProxy:
    @pytest.mark.parametrize("stream_format", ["audio", "sse"])
    def test_the_first_segment_is_not_held_back(self, stack: Stack, server: RunningServer, stream_format: str) -> None:
        text = f"The first segment.|gate {stream_format}"
        with asked(stack, text, stream_format=stream_format) as answer:
            chunks = answer.iter_raw()
            size = first_segment(chunks, 18)
            server.open_gate(stream_format)
            assert size + sum(map(len, chunks)) > size

    def test_a_clip_that_breaks_off_is_no_whole_answer(self, stack: Stack) -> None:
        with asked(stack, "It begins.|refuse it") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()

    def test_a_client_that_leaves_ends_the_synthesis(self, stack: Stack, server: RunningServer) -> None:
        with asked(stack, "Leaving.|gate away") as answer:
            first_segment(answer.iter_raw(), 8)
        until(lambda: server.called("gate away", "cancelled"))

    def test_a_killed_server_breaks_it_off(self, stack: Stack, server: RunningServer) -> None:
        with asked(stack, "Going|gate never") as answer:
            chunks = answer.iter_raw()
            first_segment(chunks, 5)
            server.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
