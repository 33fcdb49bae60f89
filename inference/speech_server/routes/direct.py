"""The speaking routes without the framework's way to them, which is half of what a short request costs.

They are documented by the framework like all others, and answered here: a path is looked up, the body parsed and
validated once, the route's function called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_type_hints

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from speech_server.api.json_body import JsonRoute, check_json_type, parse_json
from speech_server.asgi_headers import header
from speech_server.errors import CLIENT_CLOSED, ApiError, ClientLeftError, error_response, invalid_request
from speech_server.service import Service


class DirectRoute(JsonRoute):
    """A POST route whose function is `async def f(request, service, body: SomeModel) -> Response`, and no more."""


class DirectRoutes:
    """ASGI middleware, the innermost: answers POSTs to the routers' DirectRoutes, and passes all else on."""

    def __init__(self, app: ASGIApp, routers: Iterable[APIRouter], service: Service) -> None:
        self._app = app
        self._service = service
        routes = [route for router in routers for route in router.routes if isinstance(route, DirectRoute)]
        self._routes = {route.path: (route, _model_of(route)) for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and scope["method"] == "POST":
            found = self._routes.get(scope["path"])
        if found is None:
            await self._app(scope, receive, send)
            return
        route, model = found
        scope["route"] = route
        try:
            body = _validated(model, scope)
            response = await route.endpoint(Request(scope, receive), self._service, body)
        except ApiError as error:
            response = error_response(error)
        except ClientLeftError:
            response = Response(status_code=CLIENT_CLOSED)  # is sent nowhere; the log and the metrics tell it
        await response(scope, receive, send)


def _model_of(route: DirectRoute) -> type[BaseModel]:
    return get_type_hints(route.endpoint)["body"]


def _validated(model: type[BaseModel], scope: Scope) -> Any:
    check_json_type(header(scope, b"content-type") or "")
    found = parse_json(scope["state"].pop("body", b""))
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise invalid_request(error.errors()) from None
