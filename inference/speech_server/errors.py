"""Every error that a client sees: one shape, one header, no traceback.

{"error": {"message": "...", "type": "...", "param": "emotion_control.intensity", "code": "..."}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

CLIENT_CLOSED = 499  # nginx's number for a client that left before its answer

_SHOWN_VALUE_CHARS = 60
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# What was expected, where pydantic's own words do not fit into "X must be ..., not Y".
_EXPECTED = {
    "string_type": "a string",
    "string_pattern_mismatch": "of the form {pattern}",
    "string_too_short": "at least {min_length} character long",
    "string_too_long": "at most {max_length} characters long",
    "string_unicode": "whole characters",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "union_tag_invalid": "one of {expected_tags}",
}
# Where the framework found a field; the answer names the field alone.
_PLACES = ("body", "query", "path", "header")
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
# pydantic's error types -> this API's codes; whatever is not here is "invalid_value".
_CODES = {
    "missing": "missing_parameter",
    "extra_forbidden": "unknown_parameter",
    "union_tag_not_found": "missing_parameter",
}


class ApiError(Exception):
    """What is answered instead of speech. `param` is the request's field at fault ("emotion_control.intensity")."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})


class ClientLeftError(Exception):
    """The connection closed before the answer: nobody is there to be told anything."""


def retry_later(status: int, code: str, message: str, seconds: float) -> ApiError:
    """A fault that passes: `Retry-After` is whole seconds, 1-120 (the openai client gives up on more than 120)."""
    return ApiError(status, code, message, headers={"Retry-After": str(min(120, max(1, round(seconds))))})


def error_response(error: ApiError) -> Response:
    return JSONResponse(error_body(error), error.status, error.headers)


def error_body(error: ApiError) -> dict[str, dict[str, str | None]]:
    found = {"message": error.message, "type": _type_of(error.status), "param": error.param, "code": error.code}
    return {"error": found}


def install(app: FastAPI) -> None:
    """Give `app` this shape for every error raised inside its routing."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientLeftError, _on_client_left)


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """pydantic's list of errors as one answer: the first problem's field in `param`, all of them in the message."""
    lines = [_describe(problem) for problem in problems]
    first = problems[0]
    return ApiError(400, _CODES.get(first["type"], "invalid_value"), "; ".join(lines[:8]), _param(first))


def shown(value: object) -> str:
    """`value` for a message: escaped, and never more than a few dozen characters of it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str) and len(value) > _SHOWN_VALUE_CHARS:
        return f"{value[:_SHOWN_VALUE_CHARS]!a}... ({len(value)} characters)"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return ascii(value)[:_SHOWN_VALUE_CHARS]


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(invalid_request(error.errors()))


async def _on_client_left(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)  # is sent nowhere; the log and the metrics tell it


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "invalid_request")
    message = str(error.detail)
    if error.status_code == 404:
        message = "there is no such page: POST /generate or /v1/audio/speech to speak"
    elif error.status_code == 405:
        message = f"{request.method} is not allowed here; allowed: {(error.headers or {}).get('Allow', 'see the API')}"
    return error_response(ApiError(error.status_code, code, message, headers=error.headers))


def _type_of(status: int) -> str:
    if status >= 500:
        return "server_error"
    return _TYPES.get(status, "invalid_request_error")


def _param(problem: Mapping[str, Any]) -> str | None:
    """The dotted name of the field. A tagged union's tag is in pydantic's path and not in the request: left out."""
    path = list(problem["loc"])
    if path and path[0] in _PLACES:
        del path[0]
    if "emotion_control" in path[:3] and path[-1] != "emotion_control":  # also that of a job's clip
        del path[path.index("emotion_control") + 1]
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        path.append("type")
    return ".".join(_shown_name(part) for part in path) or None


def _shown_name(part: object) -> str:
    """A field's name as the client wrote it may be anything."""
    if isinstance(part, int):  # the place in a list
        return str(part)
    name = str(part)
    return name if name.isidentifier() and name.isascii() and len(name) <= 64 else ascii(name[:_SHOWN_VALUE_CHARS])


def _describe(problem: Mapping[str, Any]) -> str:
    param = _param(problem)
    kind = problem["type"]
    if kind == "missing" and param is None:
        return "the body is empty: send a JSON object"
    if kind in ("missing", "union_tag_not_found"):
        return f"{param} is required"
    if kind == "extra_forbidden":
        return f"{param} is not a parameter of this request"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "value_error":
        return message if param is None else f"{param}: {message}"
    context = problem.get("ctx", {})
    if kind in _EXPECTED:
        message = _EXPECTED[kind].format(**context)
    found = context["tag"] if kind == "union_tag_invalid" else problem["input"]
    return f"{param or 'the body'} must be {message}, not {shown(found)}"
