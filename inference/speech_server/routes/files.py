"""`/files/KEY`: what the presigned URLs of a `file:` store lead to. The signature in the URL stands for an API key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, Response

from speech_server.errors import ApiError
from speech_server.routes.speaking import ERRORS, ErrorBody, ServiceOf
from speech_server.storage.disposition import attachment
from speech_server.storage.file import FileStore
from speech_server.storage.file_links import FileLink, LinkError
from speech_server.storage.media_types import media_type_of

_LATEST_TIME = 1 << 40
_FILE = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The object"}

router = APIRouter(tags=["files"])


@router.head("/files/{key:path}", include_in_schema=False)
@router.get(
    "/files/{key:path}",
    response_class=Response,
    responses={
        200: _FILE,
        206: {**_FILE, "description": "The range that was asked for"},
        400: ERRORS[400],
        422: ERRORS[400],  # or the framework names an answer of its own, which is never given
        403: {"model": ErrorBody, "description": "The link was changed, or its time is over"},
        404: {"model": ErrorBody, "description": "There is no such object any more"},
        416: {"description": "There is no such range"},
    },
)
async def get_file(
    key: str,
    service: ServiceOf,
    expires: Annotated[int, Query(ge=0, le=_LATEST_TIME)],
    signature: Annotated[str, Query(max_length=200)],
    name: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    store = service.store
    if not isinstance(store, FileStore):
        raise ApiError(404, "not_found", "this service's store gives its own links")
    try:
        path = store.linked_file(FileLink(key, expires, name), signature)
    except LinkError as error:
        raise ApiError(403, "invalid_link", str(error)) from None
    if path is None:
        raise ApiError(404, "not_found", "there is no such object any more")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=60"}
    if name:
        headers["Content-Disposition"] = attachment(name)
    return FileResponse(path, media_type=media_type_of(key), headers=headers)
