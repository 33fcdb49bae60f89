"""The parts of one running server, made from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from speech_server.auth import KeyRing
from speech_server.dedup import Dedup
from speech_server.engines.host import EngineHost
from speech_server.estimate import RealTimeFactor
from speech_server.lane import Lane
from speech_server.metrics import Metrics
from speech_server.pipeline import Pipeline
from speech_server.readiness import Readiness
from speech_server.reference_store import ReferenceStore
from speech_server.settings import Settings


@dataclass(frozen=True)
class Service:
    """What the routes are given."""

    settings: Settings
    keys: KeyRing
    metrics: Metrics
    host: EngineHost
    lane: Lane
    pipeline: Pipeline
    readiness: Readiness


def make_service(settings: Settings, work_dir: Path) -> Service:
    """Raises KeysError or OSError if the keys or the folder cannot be used. To be called inside the event loop."""
    keys = KeyRing(settings.api_keys_file)
    metrics = Metrics()
    host = EngineHost(settings.engine, settings.load_seconds, metrics.engine_restarts.inc)
    speed = RealTimeFactor()
    lane = Lane(speed, settings.max_wait_seconds)
    dedup = Dedup()
    pipeline = Pipeline(
        dedup=dedup,
        references=ReferenceStore(work_dir),
        lane=lane,
        speed=speed,
        host=host,
        metrics=metrics,
        max_text_chars=settings.max_text_chars,
        call_seconds=settings.call_seconds,
    )
    metrics.watch("speech_lane_depth", "Requests that wait for the engine", lambda: lane.depth)
    metrics.watch("speech_lane_expected_wait_seconds", "What a request that comes now would wait", lane.wait_seconds)
    metrics.watch("speech_dedup_bytes", "Bytes of stored answers", lambda: dedup.stored_bytes)
    metrics.watch("speech_engine_ready", "1 if the engine is warm", lambda: host.ready)
    return Service(settings, keys, metrics, host, lane, pipeline, Readiness(host))
