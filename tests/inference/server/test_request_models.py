"""Whatever JSON a client sends to the speaking routes, the server does not fail of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inference.server.running_server import RunningServer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
EMOTION = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_desc", "vector", "audio", "none", "mood"]) | JSON},
    optional={
        "description": st.text() | JSON,
        "vector": st.dictionaries(st.sampled_from(["happy", "angry", "calm", "joy"]), st.floats(-0.1, 1.1) | JSON),
        "audio": st.text(max_size=50) | JSON,
        "intensity": st.floats(-0.1, 1.1) | JSON,
    },
)
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "text_with_pinyin": st.text("你好yàohǎo ā1:'v"),
    "reference_audio": st.text("ABab+/= ", max_size=60) | st.binary(max_size=60).map(lambda data: data.hex()) | JSON,
    "emotion_control": EMOTION | JSON,
    "duration_ratio": st.floats(0.7, 1.3) | JSON,
    "target_seconds": st.floats(-1, 100) | JSON,
    "language": st.text(max_size=10) | JSON,
    "seed": st.integers() | JSON,
}
GENERATE = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=50) | JSON,
        "voice": st.sampled_from(["default", "low", "nobody"]) | JSON,
        "mode": st.sampled_from(["controlled", "free"]) | JSON,
        "format": st.sampled_from(["wav", "flac", "pcm"]) | JSON,
        **SHARED,
    },
)
OPENAI = st.fixed_dictionaries(
    {"input": st.text(max_size=50) | JSON, "model": st.just("tts-1") | JSON, "voice": st.just("alloy") | JSON},
    optional={
        "response_format": st.sampled_from(["wav", "flac", "pcm"]) | JSON,
        "instructions": st.text(max_size=20) | JSON,
        "speed": st.floats(0.2, 4.1) | JSON,
        "stream_format": st.sampled_from(["sse", "audio"]) | JSON,
        **SHARED,
    },
)
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(server: RunningServer, path: str, body: Any) -> None:
    with server.client() as client:
        answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        assert float(answer.headers["x-audio-seconds"]) > 0
        return
    assert answer.status_code in (400, 404), answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert error["code"]
    assert len(answer.content) < 4000


class TestNeverAServerError:
    @MANY
    @given(body=GENERATE)
    def test_generate(self, shared_server: RunningServer, body: Any) -> None:
        check(shared_server, "/generate", body)

    @MANY
    @given(body=OPENAI)
    def test_openai_speech(self, shared_server: RunningServer, body: Any) -> None:
        check(shared_server, "/v1/audio/speech", body)

    @settings(MANY, max_examples=60)
    @given(body=JSON)
    def test_anything(self, shared_server: RunningServer, body: Any) -> None:
        check(shared_server, "/generate", body)
