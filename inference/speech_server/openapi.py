"""What the layers around the routes take and answer, added to what the routes say in /openapi.json."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from speech_server.auth import OPEN_PATHS, SIGNED_PATHS
from speech_server.routes.reply_time import REPLY_WITHIN
from speech_server.routes.speaking import ERRORS

_SCHEME = "apiKey"
_WAITED_FOR = frozenset({"/generate", "/v1/audio/speech"})
_REPEATABLE = _WAITED_FOR | {"/v1/jobs"}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
    "description": "the same key again is the same request, and gets the same answer",
}
_REPLY_WITHIN = {
    "name": REPLY_WITHIN,
    "in": "header",
    "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "description": "seconds that the client waits: what cannot be spoken by then is refused at once",
}
_REQUEST_ID = {"schema": {"type": "string"}, "required": True, "description": "of this request, as the log has it"}
_RETRY_AFTER = {"schema": {"type": "integer", "minimum": 1, "maximum": 120}, "description": "in seconds"}
_CHALLENGE = {"schema": {"type": "string"}, "required": True}


def document(app: FastAPI) -> None:
    """Have `app.openapi()` tell of keys, request ids and overload, which no route knows of."""
    of_routes = app.openapi

    def of_all() -> dict[str, Any]:
        return app.openapi_schema or _completed(of_routes())

    app.openapi = of_all


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    schema["components"]["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    needs_key = path not in OPEN_PATHS and not path.startswith(SIGNED_PATHS)
    operation["security"] = [{_SCHEME: []}] if needs_key else []
    answers = operation["responses"]
    for status in (401, 500, 503) if needs_key else () if path in OPEN_PATHS else (500, 503):
        answers.setdefault(str(status), _error(status))
    for status, answer in answers.items():
        headers = {**answer.get("headers", {}), "X-Request-Id": _REQUEST_ID}
        if status in ("429", "503"):
            headers["Retry-After"] = _RETRY_AFTER | {"required": status == "429"}
        if status == "401":
            headers["WWW-Authenticate"] = _CHALLENGE
        answer["headers"] = headers
    if path in _REPEATABLE and "requestBody" in operation:
        parameters = operation.setdefault("parameters", [])
        parameters.append(_IDEMPOTENCY_KEY)
        if path in _WAITED_FOR:
            parameters.append(_REPLY_WITHIN)


def _error(status: int) -> dict[str, Any]:
    body = {"schema": {"$ref": "#/components/schemas/ErrorBody"}}
    return {"description": ERRORS[status]["description"], "content": {"application/json": body}}
