"""Every route of a running server, with the CPU engine, against the OpenAPI that the server itself gives out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.inference.server.running_server import RunningServer, until
from tests.inference.service.stack import free_port
from tests.inference.service.tenants import ADMIN_KEY, CONSENT, KEYS, SOURCE, VOICES
from tests.inference.voices.speech import speech_file

# Of every operation one call that succeeds: status, and what the case is made of. "{...}" is filled in.
JSON = {"media_type": "application/json"}
JOB, VOICE = {"path_parameters": {"job": "{job}"}}, {"path_parameters": {"voice": "{voice}"}}
GOOD: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("GET /healthz", 200, {}),
    ("GET /readyz", 200, {}),
    ("GET /metrics", 200, {}),
    ("POST /generate", 200, {"body": {"text": "Good morning.", "voice": "female", "format": "flac"}, **JSON}),
    (
        "POST /v1/audio/speech",
        200,
        {"body": {"input": "Good morning.", "model": "tts-1", "voice": {"id": "{voice}"}}, **JSON},
    ),
    ("GET /v1/models", 200, {}),
    ("GET /v1/models/{model}", 200, {"path_parameters": {"model": "tts-1"}}),
    (
        "POST /v1/audio/voices",
        200,
        {
            "body": {"name": "another", "consent": CONSENT, "source": SOURCE, "audio_sample": speech_file("female")},
            "media_type": "multipart/form-data",
        },
    ),
    ("GET /v1/audio/voices", 200, {"query": {"limit": 1}}),
    ("GET /v1/audio/voices/audit", 200, {"query": {"client": "*"}}),
    ("GET /v1/audio/voices/{voice}", 200, VOICE),
    ("DELETE /v1/audio/voices/{voice}", 200, {"path_parameters": {"voice": "{spare}"}}),
    ("GET /files/{key}", 200, {"path_parameters": {"key": "{key}"}, "query": "{query}"}),
    ("POST /v1/jobs", 202, {"body": {"clips": [{"text": "One."}, {"text": "Two."}], "voice": "{voice}"}, **JSON}),
    ("GET /v1/jobs", 200, {"query": {"limit": 1}}),
    ("GET /v1/jobs/dead-letters", 200, {}),
    ("POST /v1/jobs/dead-letters/redrive", 200, {"body": {"ids": ["none"]}, **JSON}),
    ("GET /v1/jobs/{job}", 200, JOB),
    ("GET /v1/jobs/{job}/clips", 200, JOB),
    ("DELETE /v1/jobs/{job}", 200, JOB),
    ("GET /v1/usage", 200, {}),
)
# No schema can say it: a text needs something to speak, a sample must be speech, two fields may exclude each other,
# `after` must be of the list, two dates must be near each other. What is sent of these may be refused with 400.
REFUSED_BY_RULE = frozenset(
    {
        "POST /generate",
        "POST /v1/audio/speech",
        "POST /v1/audio/voices",
        "GET /v1/audio/voices",
        "GET /v1/audio/voices/audit",
        "POST /v1/jobs",
        "GET /v1/jobs",
        "GET /v1/usage",
    }
)
# They have no parameter, or one that may be any text: there is nothing to send that is not described.
TAKES_ANYTHING = frozenset(
    {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /v1/audio/voices/{voice}",
        "DELETE /v1/audio/voices/{voice}",
        "GET /v1/jobs/{job}",
        "DELETE /v1/jobs/{job}",
    }
)
NEEDS_NO_KEY = frozenset({"GET /healthz", "GET /readyz", "GET /files/{key}"})  # a link's signature is its key
# For calls that are refused on purpose; all other checks are about calls that are not.
CONFORMANCE = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
EXAMPLES = 40
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}


class Api:
    """The running server, its schema, and a voice and a job that are there."""

    def __init__(self, folder: Path) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        (folder / "keys.json").write_text(json.dumps(KEYS))
        self.server = RunningServer(
            folder,
            ready=False,
            listen=address,
            engine="espeak",
            store=(folder / "objects").as_uri(),
            queue=f"sqlite://{folder / 'queue.sqlite'}",
            public_url=self.url,
        )
        self.http = httpx.Client(base_url=self.url, headers=HEADERS, timeout=30)

    def prepare(self) -> None:
        until(self._is_ready, 60)
        form = {"name": "host", "consent": CONSENT, "source": SOURCE}
        files = {"audio_sample": ("a.wav", speech_file())}
        voice = self._posted(VOICES, data=form, files=files)["id"]
        spare = self._posted(VOICES, data={**form, "name": "spare"}, files=files)["id"]
        job = self._posted("/v1/jobs", json={"text": "A job that is there."})["id"]
        done = until(lambda: self._ended(job))
        link = httpx.URL(done["clips"][0]["url"])
        self._there = {
            "{voice}": voice,
            "{spare}": spare,
            "{job}": job,
            "{key}": link.path.removeprefix("/files/"),
            "{query}": dict(link.params),
        }
        self.schema = schemathesis.openapi.from_dict(self.http.get("/openapi.json").json())
        self.schema.config.update(base_url=self.url)

    def _is_ready(self) -> bool:
        assert self.server.process.poll() is None, self.server.log_file.read_text()
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def filled_in(self, given: Any) -> Any:
        """`given` with what is there in the place of "{...}"."""
        if isinstance(given, dict):
            return {name: self.filled_in(value) for name, value in given.items()}
        return self._there.get(given, given) if isinstance(given, str) else given

    def _ended(self, job: str) -> dict[str, Any] | None:
        found = self.http.get(f"/v1/jobs/{job}").json()
        return found if found["status"] == "succeeded" else None

    def _posted(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, **body)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def operation(self, label: str) -> APIOperation:
        method, _, path = label.partition(" ")
        return self.schema[path][method]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    running = Api(tmp_path_factory.mktemp("contract"))
    try:
        running.prepare()
        yield running
    finally:
        running.http.close()
        running.server.kill()


def hold(operation: APIOperation, mode: GenerationMode) -> None:
    """Send what the schema describes, or what it does not, and hold the answers against it."""

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, headers=HEADERS))
    def run(case: schemathesis.Case) -> None:
        off = [positive_data_acceptance] if operation.label in REFUSED_BY_RULE else []
        case.call_and_validate(headers=HEADERS, excluded_checks=off)

    run()


class TestDescription:
    def test_these_are_all_operations(self, api: Api) -> None:
        found = {operation.ok().label for operation in api.schema.get_all_operations()}
        assert found == {label for label, *_ in GOOD}

    def test_each_tells_what_every_operation_may_answer(self, api: Api) -> None:
        for operation in (result.ok() for result in api.schema.get_all_operations()):
            documented = set(operation.definition.raw["responses"])
            if operation.path in ("/healthz", "/readyz"):
                continue
            assert {"500", "503"} <= documented, operation.label
            assert "401" in documented or operation.path.startswith("/files/"), operation.label
            if operation.body:
                assert {"400", "408", "413", "415"} <= documented, operation.label


class TestContract:
    @pytest.mark.parametrize(("label", "status", "given"), GOOD, ids=[label for label, *_ in GOOD])
    def test_what_works(self, api: Api, label: str, status: int, given: dict[str, Any]) -> None:
        case = api.operation(label).Case(**api.filled_in(given))
        answer = case.call(headers=HEADERS)
        case.validate_response(answer, headers=HEADERS)
        assert answer.status_code == status, answer.text

    @pytest.mark.parametrize("label", [label for label, *_ in GOOD if label not in NEEDS_NO_KEY])
    def test_without_a_key(self, api: Api, label: str) -> None:
        operation = api.operation(label)
        case = operation.Case(path_parameters={parameter.name: "any" for parameter in operation.path_parameters})
        answer = case.call(headers={"Authorization": "Bearer of-nobody"})
        case.validate_response(answer, checks=list(CONFORMANCE))
        assert answer.status_code == 401

    @pytest.mark.parametrize("label", ["GET /v1/jobs/dead-letters", "POST /v1/jobs/dead-letters/redrive"])
    def test_without_an_administrators_key(self, api: Api, label: str) -> None:
        case = api.operation(label).Case(body={}, media_type="application/json")
        answer = case.call(headers={"Authorization": f"Bearer {KEYS['ann']['key']}"})
        case.validate_response(answer, checks=list(CONFORMANCE))
        assert answer.status_code == 403

    @pytest.mark.parametrize("day", ["0", "1795392000", "2026-3-1", "2026-03-01T00:00:00Z", "2026-02-30"])
    def test_what_is_no_day(self, api: Api, day: str) -> None:
        answer = api.http.get("/v1/usage", params={"from": day, "to": day})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "from")

    @pytest.mark.parametrize("label", [label for label, *_ in GOOD])
    def test_what_is_described(self, api: Api, label: str) -> None:
        hold(api.operation(label), GenerationMode.POSITIVE)

    @pytest.mark.parametrize("label", [label for label, *_ in GOOD if label not in TAKES_ANYTHING])
    def test_what_is_not_described(self, api: Api, label: str) -> None:
        hold(api.operation(label), GenerationMode.NEGATIVE)
