"""The clients of the chaos test and the voices that each may use."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.inference.service.identity_engine import digest_of, heard
from tests.inference.voices.speech import speech_file

VOICES = "/v1/audio/voices"
CONSENT = "She agreed in her contract of 2026-03-01."
SOURCE = "Recorded in our own studio."
ADMIN_KEY = "key-of-the-administrator"
NAMES = ("ann", "ben", "cho", "dora")
KEYS: dict[str, dict[str, Any]] = {
    **{name: {"key": f"key-of-{name}-0123456789"} for name in NAMES},
    "dora": {"key": "key-of-dora-0123456789", "concurrency": 2},  # and so she is told to come back
    "admin": {"key": ADMIN_KEY, "admin": True},
}


@dataclass
class Tenant:
    """`voices`: digest of the sound -> how a request names the voice. `private`: an id that no other may use."""

    name: str
    key: str
    voices: dict[str, dict[str, str]] = field(default_factory=dict)
    private: str | None = None
    jobs: dict[str, list[Clip]] = field(default_factory=dict)  # that were accepted
    told: set[str] = field(default_factory=set)  # those of them that have a webhook

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class Clip:
    """What was ordered, and the voice's digest that must be heard."""

    text: str
    voice: str
    fields: dict[str, str]

    @property
    def spoken(self) -> tuple[str, str]:
        return self.voice, digest_of(self.text.encode())


async def settle_in(http: httpx.AsyncClient) -> list[Tenant]:
    """Three clients each get a voice "host", all may use Ann's shared one and the engine's, and each has a sample."""
    tenants = [Tenant(name, KEYS[name]["key"]) for name in NAMES]
    common = await _add_voice(http, tenants[0], "for all", "This voice is for everybody in the house.", scope="shared")
    for number, tenant in enumerate(tenants):
        tenant.voices[digest_of(b"low")] = {"voice": "low"}
        tenant.voices[common["sha256"][:16]] = {"voice": common["id"]}
        if tenant is not tenants[-1]:
            voice = await _add_voice(http, tenant, "host", f"The host number {number} bids a very good evening.")
            tenant.private = voice["id"]
            tenant.voices[voice["sha256"][:16]] = {"voice": "host"}
        sample = base64.b64encode(speech_file(text=f"A sample number {number} that is used at once.")).decode()
        body = {"text": "once", "reference_audio": sample}
        answer = await http.post("/generate", json=body, headers=tenant.headers)
        tenant.voices[heard(answer.content)[0]] = {"reference_audio": sample}
    # Two that everybody has, and seven that are different from all others.
    assert len({digest for tenant in tenants for digest in tenant.voices}) == 9
    return tenants


async def _add_voice(http: httpx.AsyncClient, tenant: Tenant, name: str, text: str, **more: str) -> dict[str, Any]:
    form = {"name": name, "consent": CONSENT, "source": SOURCE, **more}
    files = {"audio_sample": ("a.wav", speech_file(text=text))}
    answer = await http.post(VOICES, data=form, files=files, headers=tenant.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()
