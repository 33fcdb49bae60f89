"""OpenTelemetry traces, when OTEL_EXPORTER_OTLP_ENDPOINT says where to; else nothing is made or imported.

A request's spans: the request itself (continuing the caller's `traceparent`), `lane` (its wait for the engine),
`synthesis` (the engine's work) and `encode`. Their attributes are lengths and names, never text.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

# https://opentelemetry.io/docs/specs/otel/protocol/exporter/
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE_NAME = "indextts2-speech"

Attributes = Mapping[str, str | int | float | bool]


class TracesError(Exception):
    """Traces are wanted and cannot be made."""


class Span(Protocol):
    """What is open in `Traces.span`'s body."""

    def set_attribute(self, key: str, value: Any) -> None: ...

    def update_name(self, name: str) -> None: ...


class _NoSpan:
    def set_attribute(self, key: str, value: Any) -> None:
        """Nobody listens."""

    def update_name(self, name: str) -> None:
        """Nobody listens."""


_NO_SPAN: AbstractContextManager[Span] = contextlib.nullcontext(_NoSpan())


class Traces:
    """Without an endpoint: every span is the same that does nothing."""

    on = False

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:  # noqa: ARG002
        """The span of a request, under the one that the caller's headers name."""
        return _NO_SPAN

    def span(self, name: str) -> AbstractContextManager[Span]:  # noqa: ARG002 - the interface, as above
        """A part of what is open."""
        return _NO_SPAN

    def stop(self) -> None:
        """Send what was not sent yet. Blocks for seconds if nobody answers."""


def open_traces(environment: Mapping[str, str], replica: str, version: str) -> Traces:
    """Raises TracesError if an endpoint is set and the packages are missing."""
    if not any(environment.get(name) for name in _ENDPOINTS):
        return Traces()
    try:
        return _Exported(replica, version)
    except ModuleNotFoundError as error:
        raise TracesError(
            f"{_ENDPOINTS[0]} is set, and the package {error.name} is not installed: "
            "install inference/requirements-traces.txt, or unset it"
        ) from None


class _Exported(Traces):
    on = True

    def __init__(self, replica: str, version: str) -> None:
        # The SDK and the exporter are 0.3 s and 20 MB that a server without an endpoint does without.
        resources = importlib.import_module("opentelemetry.sdk.resources")
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        self._trace = importlib.import_module("opentelemetry.trace")
        self._propagator = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        attributes = {"service.version": version, **({"service.instance.id": replica} if replica else {})}
        # Resource.create reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which outdo what is given here.
        named = resources.Resource({"service.name": _SERVICE_NAME}).merge(resources.OTELResourceDetector().detect())
        self._provider = sdk.TracerProvider(resource=resources.Resource(attributes).merge(named))
        self._provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("speech_server", version)
        self._caller = self._propagator.TraceContextTextMapPropagator()

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        context = self._caller.extract(headers)
        return self._tracer.start_as_current_span(
            name,
            context=context,
            kind=self._trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        )

    def span(self, name: str) -> AbstractContextManager[Span]:
        # An exception's message may quote a request: spans hold none.
        return self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    def stop(self) -> None:
        self._provider.shutdown()
