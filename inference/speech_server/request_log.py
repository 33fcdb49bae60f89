"""The outermost layer: a request's id, its log line, its metrics, and the answer when something of ours breaks."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech_server import logs
from speech_server.asgi_headers import header
from speech_server.errors import CLIENT_CLOSED, ApiError, error_response, retry_later
from speech_server.logs import where
from speech_server.metrics import Metrics
from speech_server.traces import Span, Traces

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})  # probes: many a minute, worth a line when they fail
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD"})
_CALLER = frozenset({b"traceparent", b"tracestate"})

# An id is to be unique and no secret; this is a hundredth of what the system's generator costs.
_ids = random.Random()  # noqa: S311

LogLine = Callable[[str, Mapping[str, object]], None]

log = logging.getLogger("speech_server.request")


class RequestLog:
    """ASGI middleware. `scope["state"]` gains `request_id`; every answer carries it as X-Request-Id.

    More than `max_requests` at once, probes not counted, are answered 503 here. While `draining()`, every answer closes
    its connection. `log_line` is given each request's line.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        traces: Traces,
        max_requests: int,
        draining: Callable[[], bool],
        log_line: LogLine,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._traces = traces
        self._max_requests = max_requests
        self._draining = draining
        self._log_line = log_line
        self._in_flight = 0
        metrics.watch("speech_http_requests_in_flight", "Requests being answered, probes not counted", self._count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = found = request_id(header(scope, b"x-request-id"))
        logs.request_id.set(found)  # each request has a task, and so a context, of its own
        if not self._traces.on or scope["path"] in _QUIET_ROUTES:
            await self._answer(scope, receive, send)
            return
        caller = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CALLER}
        with self._traces.request(scope["method"], caller) as span:
            await self._answer(scope, receive, send)
            _describe(span, scope)

    def _count(self) -> int:
        return self._in_flight

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        state = scope["state"]
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", state["request_id"].encode())]
                if self._draining():
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            elif "audio_bytes" in state and status == 200:
                del state["audio_bytes"]
                self._metrics.first_audio().observe(time.monotonic() - started)
            await send(message)

        counted = scope["path"] not in _QUIET_ROUTES
        self._in_flight += counted
        try:
            if counted and self._in_flight > self._max_requests:
                error = retry_later(503, "overloaded", f"{self._max_requests} requests are in progress here already", 1)
                await error_response(error)(scope, receive, stamped)
            else:
                await self._app(scope, receive, stamped)
        except asyncio.CancelledError:
            if status:
                raise
            # The drain's time is up: whoever waits may ask another server.
            error = retry_later(503, "draining", "this server ended before it could finish this request", 1)
            await error_response(error)(scope, receive, stamped)
        except Exception as error:
            log.error("request_failed", extra={"fields": where(error)})
            if status:  # half an answer is out: closing the connection is the only honest end of it
                raise
            fault = ApiError(500, "internal_error", "the server failed; its log has this request's id")
            await error_response(fault)(scope, receive, stamped)
        finally:
            self._in_flight -= counted
            self._record(scope, status or CLIENT_CLOSED, time.monotonic() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        state = scope["state"]
        state["status"] = status
        self._metrics.requests(method, route, str(status)).inc()
        self._metrics.latency(route).observe(seconds)
        if route in _QUIET_ROUTES and status < 400:
            return
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "client": state.get("client"),
            **({"path": scope["path"][:200]} if route == "unmatched" else {}),
            **state.get("log_fields", {}),
        }
        self._log_line("request", fields)


def request_id(given: str | None) -> str:
    """The client's own id if it is harmless, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"req-{_ids.getrandbits(96):024x}"


def _route_of(scope: Scope) -> str:
    """The route's template, so that a metric's labels stay few whatever paths are asked for."""
    return getattr(scope.get("route"), "path", "unmatched")


def _describe(span: Span, scope: Scope) -> None:
    """Names as OpenTelemetry has them: https://opentelemetry.io/docs/specs/semconv/http/http-spans/"""
    state = scope["state"]
    span.update_name(f"{scope['method'][:20]} {_route_of(scope)}")
    span.set_attribute("http.request.method", scope["method"][:20])
    span.set_attribute("http.route", _route_of(scope))
    span.set_attribute("http.response.status_code", state["status"])
    span.set_attribute("speech.request_id", state["request_id"])
    if state.get("client") is not None:
        span.set_attribute("speech.client", state["client"])
