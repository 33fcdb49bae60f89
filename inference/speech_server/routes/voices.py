"""`/v1/audio/voices`: the clients' own voices, and who added and deleted them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from speech_server.api.voices import (
    FORM,
    AuditList,
    DeletedVoice,
    VoiceBody,
    VoiceList,
    entry_body,
    read_form,
    voice_body,
)
from speech_server.errors import ApiError, shown
from speech_server.routes.speaking import ERRORS, ErrorBody, ServiceOf
from speech_server.service import Service
from speech_server.storage.answers import no_store, store_unavailable
from speech_server.storage.store import StoreError
from speech_server.voices.registration import Registration
from speech_server.voices.registry import Voices
from speech_server.voices.statements import check_statements

_MAX_LISTED = 1000
_COMMON: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (400, 401, 500, 503)},
    422: ERRORS[400],  # or the framework names an answer of its own, which is never given
}
_NOT_ALLOWED: dict[int | str, dict[str, Any]] = {403: {"model": ErrorBody, "description": "This key may not do that"}}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody, "description": "There is no such voice"}}
_REFUSED_UPLOADS: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (408, 413)},
    409: {"model": ErrorBody, "description": "There is another voice of this name"},
    415: {"model": ErrorBody, "description": "The body is not multipart/form-data"},
}

router = APIRouter(prefix="/v1/audio/voices", tags=["voices"], responses=_COMMON)


@router.post("", openapi_extra=FORM, responses={**_NOT_ALLOWED, **_REFUSED_UPLOADS})
async def add_voice(request: Request, service: ServiceOf) -> VoiceBody:
    """The same form again gives the same voice."""
    registration = _registration(service)
    texts, audio = await read_form(request)
    capabilities = service.host.capabilities
    statements = check_statements(
        texts.get("name"),
        texts.get("consent"),
        texts.get("source"),
        texts.get("scope", "private"),
        () if capabilities is None else capabilities.voices,
    )
    client = _client(request)
    return voice_body(await registration.add(client, statements, audio), client)


@router.get("")
async def list_voices(
    request: Request,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 100,
    after: Annotated[str | None, Query(max_length=100, description="the last_id of the page before")] = None,
) -> VoiceList:
    """The client's own voices and the shared ones, the newest first."""
    client = _client(request)
    voices = await _voices(service).visible(client)
    if after is not None:
        place = next((number for number, voice in enumerate(voices) if voice.id == after), None)
        if place is None:
            message = f"after must be the id of a voice in this list, not {shown(after)}"
            raise ApiError(400, "invalid_value", message, "after")
        voices = voices[place + 1 :]
    page = [voice_body(voice, client) for voice in voices[:limit]]
    return VoiceList(data=page, has_more=len(voices) > limit, last_id=page[-1].id if page else None)


@router.get("/audit", responses=_NOT_ALLOWED)
async def list_audit(
    request: Request,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 100,
    after: Annotated[str | None, Query(max_length=300, description="the last_id of the page before")] = None,
    client: Annotated[str | None, Query(max_length=64, description='whose voices; "*": all (an admin\'s key)')] = None,
) -> AuditList:
    """Who added and deleted the client's voices, the oldest first; with "*" client by client."""
    owner = _audited(service, _client(request), client)
    if after is not None and owner is not None and not after.startswith(f"{owner}/"):
        raise _no_entry(after)
    try:
        entries = await _registration(service).audit.entries(owner, after, limit + 1)
    except ValueError:
        raise _no_entry(after) from None
    except StoreError as error:
        raise store_unavailable(error) from None
    page = [entry_body(entry) for entry in entries[:limit]]
    return AuditList(data=page, has_more=len(entries) > limit, last_id=page[-1].id if page else None)


@router.get("/{voice}", responses=_NOT_FOUND)
async def get_voice(voice: str, request: Request, service: ServiceOf) -> VoiceBody:
    """By id, or by the client's own name for it."""
    client = _client(request)
    return voice_body(await _voices(service).resolve(client, voice), client)


@router.delete("/{voice}", responses={**_NOT_FOUND, **_NOT_ALLOWED})
async def delete_voice(voice: str, request: Request, service: ServiceOf) -> DeletedVoice:
    """By id, or by the client's own name for it; any client's by id with an admin's key."""
    voices = _voices(service)
    client = _client(request)
    admin = _is_admin(service, client)
    found = await voices.resolve(client, voice, every=admin)
    if found.owner != client and not admin:
        raise ApiError(403, "not_the_owner", "this voice is shared with you: only its owner can delete it", "voice")
    await _registration(service).delete(found, client)
    voices.forget(found)
    return DeletedVoice(id=found.id)


def _audited(service: Service, client: str, asked: str | None) -> str | None:
    """Whose voices the audit is about, None for all. Raises ApiError."""
    if asked is None or asked == client:
        return client
    if not _is_admin(service, client):
        raise ApiError(403, "not_an_admin", "only an admin's key sees the audit of other clients", "client")
    return None if asked == "*" else asked


def _no_entry(after: str | None) -> ApiError:
    return ApiError(400, "invalid_value", f"after must be the id of an entry of this list, not {shown(after)}", "after")


def _client(request: Request) -> str:
    return request.scope["state"]["client"]


def _is_admin(service: Service, client: str) -> bool:
    policy = service.keys.policy(client)
    return policy is not None and policy.admin


def _voices(service: Service) -> Voices:
    if service.voices is None:
        raise no_store()
    return service.voices


def _registration(service: Service) -> Registration:
    if service.registration is None:
        raise no_store()
    return service.registration
