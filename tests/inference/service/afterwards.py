"""What must be true when the chaos is over: of jobs, of the walls between clients, of what was told and logged."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from datetime import datetime, timezone
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from speech_server.tenants.webhook_secret import derived_secret
from tests.inference.notify.receiver import Receiver
from tests.inference.service.identity_engine import heard
from tests.inference.service.stack import Stack
from tests.inference.service.tenants import ADMIN_KEY, VOICES, Clip, Tenant

_MOST_DRIVEN_AGAIN = 5
_FETCHED_AT_ONCE = 16


async def all_ended(http: httpx.AsyncClient, tenants: list[Tenant], seconds: float) -> None:
    """Returns when every job that any client can list has succeeded; what is a dead letter is driven again, once."""
    deadline = time.monotonic() + seconds
    driven = 0
    for tenant in tenants:
        while (states := Counter(job["status"] for job in (await _listed(http, tenant)).values())).keys() != {
            "succeeded"
        }:
            assert time.monotonic() < deadline, f"{tenant.name}: {dict(states)}"
            if states["failed"]:
                driven += await _drive_again(http)
                assert driven <= _MOST_DRIVEN_AGAIN
            await asyncio.sleep(0.5)


async def _drive_again(http: httpx.AsyncClient) -> int:
    """Three servers that died with a clip in hand make it a dead letter, which an operator drives again."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    answer = await http.post("/v1/jobs/dead-letters/redrive", json={}, headers=headers)
    return answer.json()["redriven"] if answer.status_code == 200 else 0


async def _get(http: httpx.AsyncClient, tenant: Tenant, path: str) -> dict[str, Any]:
    answer = await http.get(path, headers=tenant.headers)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


async def _listed(http: httpx.AsyncClient, tenant: Tenant) -> dict[str, dict[str, Any]]:
    """All jobs of a client, through every page."""
    found: dict[str, dict[str, Any]] = {}
    after = ""
    while True:
        page = await _get(http, tenant, f"/v1/jobs?limit=100{after}")
        found |= {job["id"]: job for job in page["data"]}
        if not page["has_more"]:
            return found
        after = f"&after={page['data'][-1]['id']}"


async def check_jobs(http: httpx.AsyncClient, stack: Stack, tenants: list[Tenant], lost: list[list[Clip]]) -> None:
    """Every accepted job is there once, with one result a clip that says the right thing in the right voice.

    `lost`: orders whose answer was lost; each may be there or not.
    """
    candidates = [[clip.spoken for clip in order] for order in lost]
    clips = 0
    keys: list[str] = []
    gate = asyncio.Semaphore(_FETCHED_AT_ONCE)
    for tenant in tenants:
        listed = await _listed(http, tenant)
        assert set(tenant.jobs) <= set(listed), "accepted and lost"
        unknown = set(listed) - set(tenant.jobs)
        found = await asyncio.gather(*(_clips_heard(http, tenant, job, gate) for job in listed))
        for job, heard_clips in zip(listed, found, strict=True):
            spoken = [said for said, _ in heard_clips]
            keys += [key for _, key in heard_clips]
            clips += len(spoken)
            if job in unknown:
                assert spoken in candidates, f"{job}: nobody ordered it"
                candidates.remove(spoken)
            else:
                assert spoken == [clip.spoken for clip in tenant.jobs[job]], f"{job}: {tenant.jobs[job]}"
            assert listed[job]["progress"]["succeeded"] == listed[job]["progress"]["total"] == len(spoken)
    stored = stack.stored_results()
    assert len(keys) == len(set(keys)) == clips
    assert len(stored) == clips, "a clip has two results, or one that nobody ordered"


async def _clips_heard(
    http: httpx.AsyncClient, tenant: Tenant, job: str, gate: asyncio.Semaphore
) -> list[tuple[tuple[str, str], str]]:
    """Of each clip what is heard in it, and its key in the store."""
    async with gate:
        page = await _get(http, tenant, f"/v1/jobs/{job}/clips")
        assert not page["has_more"]
        found = []
        for clip in page["data"]:
            answer = await http.get(clip["url"])  # without a key: the URL is signed
            assert answer.status_code == 200, answer.text
            found.append((heard(answer.content), clip["key"]))
        return found


async def check_walls(http: httpx.AsyncClient, tenants: list[Tenant]) -> None:
    """No client reaches another's job, clips, voice or result, and a link opens what it was made for and no more."""
    for owner in tenants:
        jobs = list(owner.jobs)[:5]
        links = [(await _get(http, owner, f"/v1/jobs/{job}/clips"))["data"][0] for job in jobs[:2]]
        first, second = (httpx.URL(link["url"]) for link in links)
        forged = await http.get(first.copy_with(path=second.path))
        assert forged.status_code == 403
        for other in tenants:
            if other is owner:
                continue
            paths = [f"/v1/jobs/{job}{end}" for job in jobs for end in ("", "/clips")]
            if owner.private is not None:
                paths.append(f"{VOICES}/{owner.private}")
            for path in paths:
                assert (await http.get(path, headers=other.headers)).status_code == 404, path
            cancel = await http.delete(f"/v1/jobs/{jobs[0]}", headers=other.headers)
            assert cancel.status_code == 404
            assert (await http.get(f"/files/{links[0]['key']}", headers=other.headers)).status_code in (400, 403)
            ids = {voice["id"] for voice in (await _get(http, other, f"{VOICES}?limit=1000"))["data"]}
            assert owner.private not in ids
            assert not set(owner.jobs) & set(await _listed(http, other))


def jobs_told(receiver: Receiver) -> set[str]:
    return {json.loads(body)["data"]["id"] for _, body in list(receiver.calls)}


def check_webhooks(receiver: Receiver, tenants: list[Tenant]) -> None:
    """One id for each event however often it came, signed for the client whose job it is, and for no job that did not
    ask for it.
    """
    owners = {job: tenant for tenant in tenants for job in tenant.jobs}
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for headers, body in receiver.calls:
        told = json.loads(body)
        job = told["data"]["id"]
        owner = owners.get(job)
        if owner is None:
            continue  # of an order whose answer was lost
        assert job in owner.told
        # Not `verify`: it wants to be called within five minutes.
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
        signature = Webhook(derived_secret(owner.key)).sign(headers["webhook-id"], at, body.decode())
        assert signature in headers["webhook-signature"].split(), told
        ids[job, told["type"]].add(headers["webhook-id"])
    assert all(len(found) == 1 for found in ids.values()), ids


def check_logs(stack: Stack) -> None:
    """No fault of the servers' own, and no engine that outlived its server."""
    faults = stack.log("request_failed", "job_message_failed", "job_message_unknown", "job_clip_failed")
    assert faults == []
    assert [line for line in stack.log("request") if line["status"] == 500] == []
    assert stack.engines_left_behind() == []
