"""What `/v1/audio/voices` takes and gives: OpenAI's voice objects, and what an audit needs beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from speech_server.errors import ApiError, shown
from speech_server.voices.audit import AuditEntry
from speech_server.voices.statements import MAX_NAME_CHARS, MAX_STATEMENT_CHARS, MIN_STATEMENT_CHARS
from speech_server.voices.voice import Voice

AUDIO_FIELD = "audio_sample"
_TEXT_FIELDS = ("name", "consent", "source", "scope", "type")
_STATEMENT = {"type": "string", "minLength": MIN_STATEMENT_CHARS, "maxLength": MAX_STATEMENT_CHARS}
_PROPERTIES = {
    "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS},
    "consent": {**_STATEMENT, "description": "who allowed this voice to be used, for what, and when"},
    "source": {**_STATEMENT, "description": "where the sample is from: who recorded it, and when"},
    "scope": {"type": "string", "enum": ["private", "shared"], "default": "private"},
    "type": {"type": "string", "enum": [AUDIO_FIELD], "description": "OpenAI's way to say what the voice is made of"},
    AUDIO_FIELD: {
        "type": "string",
        "format": "binary",
        "description": "wav, flac, mp3 or ogg; 2 to 30 s of one person talking",
    },
}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name", "consent", "source", AUDIO_FIELD],
                    "additionalProperties": False,
                    "properties": _PROPERTIES,
                }
            }
        },
    }
}
"""How OpenAPI describes the form that `read_form` reads."""


class VoiceBody(BaseModel):
    """`owner`, `consent` and `source` only for the voice's owner."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int  # Unix time in seconds
    name: str
    scope: Literal["private", "shared"]
    seconds: float
    sample_rate: int
    sha256: str
    owner: str | None
    consent: str | None
    source: str | None


class VoiceList(BaseModel):
    object: Literal["list"] = "list"
    data: list[VoiceBody]
    has_more: bool
    last_id: str | None


class DeletedVoice(BaseModel):
    id: str
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    deleted: bool = True


class AuditEntryBody(BaseModel):
    id: str
    object: Literal["audio.voice.audit_entry"] = "audio.voice.audit_entry"
    time: str  # ISO 8601, UTC
    action: Literal["added", "deleted"]
    by: str
    voice: str
    name: str
    owner: str
    scope: str
    sha256: str
    seconds: float
    consent: str
    source: str


class AuditList(BaseModel):
    object: Literal["list"] = "list"
    data: list[AuditEntryBody]
    has_more: bool
    last_id: str | None


async def read_form(request: Request) -> tuple[Mapping[str, str], bytes]:
    """The form's text fields and the sound file. Raises ApiError."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        message = f"the body must be of Content-Type multipart/form-data, not {shown(content_type)}"
        raise ApiError(415, "unsupported_media_type", message, "Content-Type")
    texts: dict[str, str] = {}
    audio: bytes | None = None
    try:
        async with request.form(max_files=1, max_fields=len(_TEXT_FIELDS) + 4) as form:
            for name, value in form.multi_items():
                if name in texts or (name == AUDIO_FIELD and audio is not None):
                    raise ApiError(400, "duplicate_parameter", f"{shown(name)} is given more than once")
                if name == AUDIO_FIELD and isinstance(value, UploadFile):
                    audio = await value.read()
                elif name in _TEXT_FIELDS and isinstance(value, str):
                    texts[name] = value
                else:
                    raise _misplaced(name)
    except HTTPException as error:
        raise ApiError(400, "invalid_form", f"the form cannot be read: {error.detail}") from None
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_form", "the form cannot be read: its fields must be UTF-8") from None
    if texts.pop("type", AUDIO_FIELD) != AUDIO_FIELD:
        raise ApiError(400, "invalid_value", f"type must be {AUDIO_FIELD}: no voice is made of words here", "type")
    if audio is None:
        raise ApiError(400, "missing_parameter", f"{AUDIO_FIELD} is required: a sound file", AUDIO_FIELD)
    return texts, audio


def voice_body(voice: Voice, client: str) -> VoiceBody:
    own = voice.owner == client
    return VoiceBody(
        id=voice.id,
        created_at=int(voice.created_at.timestamp()),
        name=voice.name,
        scope=voice.scope,
        seconds=voice.seconds,
        sample_rate=voice.sample_rate,
        sha256=voice.sha256,
        owner=voice.owner if own else None,
        consent=voice.consent if own else None,
        source=voice.source if own else None,
    )


def entry_body(entry: AuditEntry) -> AuditEntryBody:
    fields: dict[str, Any] = asdict(entry)
    fields["time"] = entry.time.isoformat()
    return AuditEntryBody(**fields)


def _misplaced(name: str) -> ApiError:
    if name == AUDIO_FIELD:
        return ApiError(400, "invalid_value", f"{name} must be a file, with a filename in its part", name)
    if name in _TEXT_FIELDS:
        return ApiError(400, "invalid_value", f"{name} must be a text, not a file", name)
    known = ", ".join(_PROPERTIES)
    return ApiError(400, "unknown_parameter", f"{shown(name)} is not a parameter of this request; there are {known}")
