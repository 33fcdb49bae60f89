"""The parts of one running server, made from its settings."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from speech_server.auth import KeyRing
from speech_server.dedup import Dedup
from speech_server.engines.host import ENDINGS, EngineHost
from speech_server.engines.placement import place_engines
from speech_server.engines.pool import EnginePool
from speech_server.estimates.lengths import Lengths
from speech_server.estimates.speed import RealTimeFactor
from speech_server.gpu import gpu_uuids, watch_gpus
from speech_server.jobs.desk import Desk, make_desk
from speech_server.lane import Engines, Lane, Priority
from speech_server.log_objects import LogObjects
from speech_server.logs import LineHandler
from speech_server.metrics import Metrics
from speech_server.node_name import node_name
from speech_server.pipeline import Pipeline
from speech_server.readiness import Readiness
from speech_server.reference_store import ReferenceStore
from speech_server.settings import Settings
from speech_server.speaker import Speaker
from speech_server.storage.open_store import open_store
from speech_server.storage.store import Store
from speech_server.tenants.limits import ClientLimits
from speech_server.traces import Traces
from speech_server.usage.ledger import Ledger
from speech_server.usage.objects import UsageObjects
from speech_server.voices.audit import AuditLog
from speech_server.voices.registration import Registration
from speech_server.voices.registry import Voices


@dataclass(frozen=True)
class Service:
    """What the routes are given."""

    settings: Settings
    keys: KeyRing
    metrics: Metrics
    traces: Traces
    usage: UsageObjects | None  # None without a store, as are the log objects
    log_objects: LogObjects | None
    host: EnginePool
    lane: Lane
    pipeline: Pipeline
    readiness: Readiness
    store: Store | None  # None: none was given, and there are no voices either
    voices: Voices | None
    registration: Registration | None
    jobs: Desk | None  # None without a store or a queue

    def background(self) -> list[Coroutine[None, None, None]]:
        """What runs beside the requests until the server ends."""
        works: list[Coroutine[None, None, None]] = []
        if self.store is not None:
            works.append(self.store.watch())
        if self.voices is not None:
            works.append(self.voices.sweep())
        if self.usage is not None:
            works.append(self.usage.run())
        if self.log_objects is not None:
            works.append(self.log_objects.run())
        return works


def make_service(settings: Settings, work_dir: Path, log_lines: LineHandler, traces: Traces) -> Service:
    """Raises KeysError or OSError if the keys or the folder cannot be used. To be called inside the event loop."""
    keys = KeyRing(settings.api_keys_file)
    metrics = Metrics()
    store = open_store(settings.store, settings.public_url) if settings.store else None
    voices = None if store is None else Voices(store, work_dir)
    registration = None if store is None else Registration(store, AuditLog(store), settings.max_voices)
    host = _engines(settings, work_dir, metrics)
    speed = RealTimeFactor()
    lane = Lane(
        speed, settings.max_wait_seconds, engines=Engines(host.number, lambda: host.warm, crowded=host.wake_one)
    )
    host.on_change = lane.refresh
    dedup = Dedup()
    ledger = Ledger()
    speaker = Speaker(
        lane=lane,
        speed=speed,
        lengths=Lengths(),
        host=host,
        voices=voices,
        metrics=metrics,
        traces=traces,
        ledger=ledger,
        call_seconds=settings.call_seconds,
    )
    pipeline = Pipeline(
        limits=ClientLimits(keys.policy),
        dedup=dedup,
        references=ReferenceStore(work_dir),
        speaker=speaker,
        max_text_chars=settings.max_text_chars,
    )
    metrics.watch("speech_lane_depth", "Calls that wait for the engine", lambda: lane.depth)
    for priority in Priority:
        metrics.watch(
            "speech_lane_queued_audio_seconds",
            "Speech that waits for the engine, as estimated",
            partial(lane.queued_audio_seconds, priority),
            priority=priority.name.lower(),
        )
    metrics.watch("speech_lane_expected_wait_seconds", "The engines' time for all that is here", lane.work_seconds)
    metrics.watch("speech_dedup_bytes", "Bytes of stored answers", lambda: dedup.stored_bytes)
    watch_gpus(metrics)
    usage, log_objects = None, None
    if store is not None:
        node = node_name(settings.replica, datetime.now(timezone.utc))
        usage = UsageObjects(store, ledger, node)
        if settings.log_objects:
            log_objects = LogObjects(store, node)
            log_lines.copy_to = log_objects.add
    readiness = Readiness(host)
    if store is not None:
        readiness.watch("store", lambda: store.failing_since)
    jobs = None
    if store is not None and voices is not None and settings.queue:
        jobs = make_desk(settings, store, voices, pipeline, keys, lambda: readiness.draining)
        jobs.watched_by(metrics, readiness)
    return Service(
        settings=settings,
        keys=keys,
        metrics=metrics,
        traces=traces,
        usage=usage,
        log_objects=log_objects,
        host=host,
        lane=lane,
        pipeline=pipeline,
        readiness=readiness,
        store=store,
        voices=voices,
        registration=registration,
        jobs=jobs,
    )


def _engines(settings: Settings, work_dir: Path, metrics: Metrics) -> EnginePool:
    restarts = {ending: metrics.engine_restarts(ending) for ending in ENDINGS}
    devices = settings.devices.split(",") if settings.devices else []
    places = place_engines(settings.engine, settings.engines, devices, os.environ, gpu_uuids())
    hosts = [
        EngineHost(
            settings.engine,
            settings.load_seconds,
            {"SPEECH_WORK_DIR": str(work_dir.absolute()), **place},
            lambda ending: restarts[ending].inc(),
            number,
        )
        for number, place in enumerate(places)
    ]
    pool = EnginePool(hosts, settings.idle_unload_minutes * 60 or None)
    metrics.watch("speech_engine_ready", "1 if an engine is warm", lambda: pool.ready)
    for host in hosts:
        metrics.watch(
            "speech_engine_process_ready",
            "1 if this engine is warm",
            partial(getattr, host, "ready"),
            engine=str(host.number),
        )
        metrics.watch(
            "speech_engine_process_busy",
            "1 while it speaks",
            partial(pool.is_busy, host.number),
            engine=str(host.number),
        )
    return pool
