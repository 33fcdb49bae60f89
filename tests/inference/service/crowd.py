"""What the clients of the chaos test ask for, how they ask, and whether the answers were right."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.inference.service.identity_engine import heard
from tests.inference.service.tenants import Clip, Tenant

# Words in several scripts, none of which the server changes before it is spoken.
_WORDS = ("good morning", "早上好", "おはよう", "안녕", "the price is fixed", "为什么", "bitte sehr", "доброе утро")


@dataclass(frozen=True)
class Ask:
    """One synchronous request. `leaves_after`: seconds until the client hangs up. `foreign`: with another's voice."""

    tenant: Tenant
    clip: Clip
    kind: str  # generate, openai or events
    idempotency_key: str | None = None
    leaves_after: float | None = None
    foreign: bool = False


@dataclass
class Ledger:
    """What happened. `wrong` must stay empty."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    asked: int = 0


def plan_asks(tenants: list[Tenant], count: int, chance: Random, first: int = 0) -> list[Ask]:
    """One in ten repeats an earlier one word for word, one in twenty hangs up, one in fifty tries another's voice.
    They are numbered from `first` on, and what has another number is another request.
    """
    asks: list[Ask] = []
    for number in range(first, first + count):
        tenant = chance.choice(tenants)
        if asks and chance.random() < 0.1:
            asks.append(chance.choice(asks[-50:]))
            continue
        ask = Ask(
            tenant,
            plan_clip(tenant, f"request {number}", chance),
            chance.choice(["generate", "openai", "events"]),
            f"ask-{number}" if chance.random() < 0.3 else None,
            chance.uniform(0, 0.05) if chance.random() < 0.05 else None,
        )
        if chance.random() < 0.02:
            others = [other.private for other in tenants if other is not tenant and other.private is not None]
            clip = Clip(ask.clip.text, "", {"voice": chance.choice(others)})
            ask = Ask(tenant, clip, chance.choice(["generate", "openai"]), foreign=True)
        asks.append(ask)
    return asks


def plan_clip(tenant: Tenant, what: str, chance: Random) -> Clip:
    """One in three says what others say too, under a name that means another voice to each of them."""
    digest = chance.choice(sorted(tenant.voices))
    words = chance.choice(_WORDS)
    text = f"{words} to everybody" if chance.random() < 0.33 else f"{words} {what} of {tenant.name}"
    return Clip(text, digest, tenant.voices[digest])


async def ask_once(http: httpx.AsyncClient, ask: Ask, ledger: Ledger) -> bool:
    """Send it, and enter how it ended; everything but what may happen is entered as wrong. Whether a clip came."""
    ledger.asked += 1
    try:
        answer = await asyncio.wait_for(_send(http, ask), ask.leaves_after)
    except asyncio.TimeoutError:
        ledger.answers["left"] += 1
        return False
    except httpx.RemoteProtocolError as error:
        # The server was killed while its answer was on its way: there is no taking back a status that was sent.
        ledger.answers["cut"] += 1
        ledger.cuts.append(f"{ask.kind}: {error}")
        if "incomplete" not in str(error) and "peer closed" not in str(error):
            ledger.wrong.append(f"{ask.kind}: cut before the answer: {error}")
        return False
    except httpx.TransportError as error:
        ledger.wrong.append(f"{ask.kind}: no answer: {error!r}")
        return False
    ledger.answers[str(answer.status_code)] += 1
    problem = _problem(ask, answer)
    if problem is not None:
        ledger.wrong.append(f"{ask.kind} {ask.clip.text!r} {ask.clip.fields.get('voice')}: {problem}")
        return False
    return answer.status_code == 200


async def _send(http: httpx.AsyncClient, ask: Ask) -> httpx.Response:
    headers = dict(ask.tenant.headers)
    if ask.idempotency_key is not None:
        headers["Idempotency-Key"] = ask.idempotency_key
    clip = ask.clip
    if ask.kind == "generate":
        body = {"text": clip.text, "format": "flac" if ask.idempotency_key else "wav", **clip.fields}
        return await http.post("/generate", json=body, headers=headers)
    body = {"input": clip.text, "model": "tts-1", "voice": "default", "response_format": "wav", **clip.fields}
    if ask.kind == "events":
        body["stream_format"] = "sse"
    return await http.post("/v1/audio/speech", json=body, headers=headers)


def _problem(ask: Ask, answer: httpx.Response) -> str | None:
    if answer.status_code == 200 and not ask.foreign:
        try:
            said = heard(_sound(answer))
        except (AssertionError, ValueError, RuntimeError) as error:
            return f"not a clip: {error!r}"
        return None if said == ask.clip.spoken else f"heard {said}, not {ask.clip.spoken}"
    if answer.status_code == 404 and ask.foreign and answer.json()["error"]["code"] == "voice_not_found":
        return None
    return refusal_problem(answer)


def refusal_problem(answer: httpx.Response) -> str | None:
    """What is wrong with an answer that should say: come back later."""
    if answer.status_code not in (429, 503):
        return f"answered {answer.status_code}: {answer.text[:200]}"
    wait = answer.headers.get("retry-after", "")
    if not (wait.isdigit() and 1 <= int(wait) <= 120):
        return f"answered {answer.status_code} with Retry-After {wait!r}"
    if set(answer.json()["error"]) != {"message", "type", "param", "code"}:
        return f"answered {answer.text[:200]}"
    return None


def _sound(answer: httpx.Response) -> bytes:
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return answer.content
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert events[-1]["type"] == "speech.audio.done"
    return b"".join(base64.b64decode(event["audio"]) for event in events[:-1])


@dataclass(frozen=True)
class JobPlan:
    """A job to order. Without an idempotency key a lost answer leaves the client in the dark."""

    tenant: Tenant
    clips: list[Clip]
    idempotency_key: str | None
    webhook: str | None


def plan_jobs(tenants: list[Tenant], count: int, chance: Random, webhook: str, first: int = 0) -> list[JobPlan]:
    """One in ten is a batch of 2 to 12 clips, one in five has a webhook, nine in ten have an idempotency key.
    Numbered as `plan_asks` does it.
    """
    plans = []
    for number in range(first, first + count):
        tenant = chance.choice(tenants)
        size = chance.randint(2, 12) if chance.random() < 0.1 else 1
        plans.append(
            JobPlan(
                tenant,
                [plan_clip(tenant, f"job {number} clip {clip}", chance) for clip in range(size)],
                f"job-{number}" if chance.random() < 0.9 else None,
                webhook if chance.random() < 0.2 else None,
            )
        )
    return plans


async def order_job(http: httpx.AsyncClient, plan: JobPlan, ledger: Ledger, lost: list[list[Clip]]) -> None:
    """Order it until it is accepted. An order without a key is sent once; if its answer is lost it goes to `lost`."""
    headers = dict(plan.tenant.headers)
    if plan.idempotency_key is not None:
        headers["Idempotency-Key"] = plan.idempotency_key
    clips: list[dict[str, Any]] = [{"text": clip.text, **clip.fields} for clip in plan.clips]
    body: dict[str, Any] = clips[0] if len(clips) == 1 else {"clips": clips}
    if plan.webhook is not None:
        body["webhook"] = plan.webhook
    while True:
        try:
            answer = await http.post("/v1/jobs", json=body, headers=headers)
        except httpx.TransportError as error:
            ledger.wrong.append(f"job: no answer: {error!r}")
            return
        ledger.answers[f"job {answer.status_code}"] += 1
        if answer.status_code == 202:
            job = answer.json()["id"]
            plan.tenant.jobs[job] = plan.clips
            if plan.webhook is not None:
                plan.tenant.told.add(job)
            return
        if plan.idempotency_key is None and answer.status_code == 502:
            # Whether the server that died had accepted it, nobody can tell but the list of jobs.
            lost.append(plan.clips)
            return
        problem = refusal_problem(answer)
        if problem is not None:
            ledger.wrong.append(f"job: {problem}")
            return
        await asyncio.sleep(min(1.0, float(answer.headers["retry-after"])))
