"""JSON as RFC 8259 has it and nothing more: no NaN, no key twice, no half characters, no nesting that breaks us."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from speech_server.errors import ApiError, shown


class JsonRoute(APIRoute):
    """A route whose JSON body is read by `parse_json`. It must be of type application/json."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def parsed(request: Request) -> Response:
            check_json_type(request.headers.get("content-type", ""))
            # Streamed, because body() would keep the bytes beside what they are parsed to.
            body = b"".join([chunk async for chunk in request.stream()])
            found = parse_json(body)
            del body
            return await handle(_ParsedRequest(request, found))

        return parsed


class _ParsedRequest(Request):
    def __init__(self, request: Request, parsed: dict[str, Any]) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b"{}"  # not empty, so that the framework asks for json(); the real one is not kept twice
        self._parsed = parsed

    async def json(self) -> dict[str, Any]:
        return self._parsed


def check_json_type(content_type: str) -> None:
    """Raises ApiError (415) if a body of this Content-Type is not JSON."""
    if content_type != "application/json" and content_type.partition(";")[0].strip().lower() != "application/json":
        message = f"the body must be of Content-Type application/json, not {shown(content_type)}"
        raise ApiError(415, "unsupported_media_type", message, "Content-Type")


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in `body`. Raises ApiError."""
    if not body.strip():
        raise _invalid("the body is empty: send a JSON object")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"the body is not UTF-8 (byte {error.start})") from None
    try:
        found = _decode(text)
        if b"\\u" in body:
            _refuse_half_characters(found)
    except json.JSONDecodeError as error:
        raise _invalid(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        raise _invalid("the body holds a number of thousands of digits") from None
    except RecursionError:
        raise _invalid("the body is nested too deeply") from None
    if not isinstance(found, dict):
        raise _invalid("the body must be a JSON object")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ApiError(400, "duplicate_parameter", f"{shown(twice)} is given more than once")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is no JSON number")


def _refuse_half_characters(found: object) -> None:
    """An escape may write half of a surrogate pair, which is no character and cannot be encoded again."""
    if isinstance(found, str):
        try:
            found.encode("utf-8")
        except UnicodeEncodeError:
            raise _invalid("the body holds half of a surrogate pair: send whole characters") from None
    elif isinstance(found, dict):
        for name, value in found.items():
            _refuse_half_characters(name)
            _refuse_half_characters(value)
    elif isinstance(found, list):
        for value in found:
            _refuse_half_characters(value)


_decode = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant).decode


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_json", message)
