"""Traces of a running server, as a collector gets them: OTLP over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Generator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from speech_server.traces import Traces, TracesError, open_traces
from tests.inference.server.running_server import RunningServer, until
from tests.listening import listening


class Collector:
    """Keeps the spans that it is sent; `resources` are what they are said to come from."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    def take(self, body: bytes) -> None:
        """OTLP, as protobuf."""
        found = ExportTraceServiceRequest()
        found.ParseFromString(body)
        for resource in found.resource_spans:
            attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.resources.append(attributes)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


@pytest.fixture
def collector() -> Generator[Collector]:
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            made.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Silence."""

    with listening(Handler) as made.url:
        yield made


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


class TestSpans:
    def test_a_request_and_its_parts_continue_the_callers_trace(
        self, collector: Collector, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        server = RunningServer(tmp_path)
        try:
            caller = "0af7651916cd43dd8448eb211c80319c"
            headers = {"traceparent": f"00-{caller}-b7ad6b7169203331-01", "X-Request-Id": "id-1"}
            with server.client() as client:
                text = "the words of the customer"
                assert client.post("/generate", json={"text": text}, headers=headers).status_code == 200
                assert client.post("/generate", json={"text": "crash " + text}, headers=headers).status_code == 503
                client.get("/metrics")
            until(lambda: len(collector.spans) >= 6)
        finally:
            server.terminate()
            server.process.wait(60)
            server.kill()
        spans = {span.name: span for span in collector.spans[:4]}
        assert set(spans) == {"POST /generate", "lane", "synthesis", "encode"}
        assert {span.trace_id.hex() for span in collector.spans} == {caller}
        assert spans["POST /generate"].parent_span_id.hex() == "b7ad6b7169203331"
        assert {spans[name].parent_span_id for name in ("lane", "synthesis", "encode")} == {
            spans["POST /generate"].span_id
        }
        found = attributes(spans["POST /generate"])
        assert found["http.route"] == "/generate"
        assert found["http.response.status_code"] == 200
        assert (found["speech.request_id"], found["speech.client"]) == ("id-1", "first")
        assert attributes(spans["synthesis"])["speech.audio_seconds"] > 1
        assert b"words of the customer" not in b"".join(span.SerializeToString() for span in collector.spans)
        assert collector.resources[0]["service.name"] == "indextts2-speech"
        assert collector.resources[0]["service.instance.id"] == "replica-1"


class TestSwitch:
    def test_without_an_endpoint_nothing_is_made(self) -> None:
        traces = open_traces({"OTEL_SERVICE_NAME": "x"}, "replica", "1")
        assert type(traces) is Traces
        assert not traces.on
        with traces.request("POST", {}) as span, traces.span("lane"):
            span.set_attribute("a", 1)

    def test_an_endpoint_without_the_packages_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.resources", None)
        with pytest.raises(TracesError, match=r"requirements-traces\.txt"):
            open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "", "1")
