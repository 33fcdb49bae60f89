"""`indextts2 node check`, and what the `indextts2` engine asks before it loads: can this machine run it?"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from speech_server.engines.indextts2.settings import EngineSettings, read_engine_settings
from speech_server.engines.indextts2.weights import WeightsError, check_weights, emotion_model, required_files
from speech_server.node.clouds import cloud_facts
from speech_server.node.clouds import problems as cloud_problems
from speech_server.node.facts import machine_facts
from speech_server.node.preflight import Needs, PreflightError, Problem
from speech_server.node.preflight import problems as machine_problems
from speech_server.node.truncated import truncated_files
from speech_server.settings import SettingsError, read_settings

# sysexits.h, as the server itself ends with it
EX_CONFIG = 78


def require(settings: EngineSettings, environment: Mapping[str, str], work_dir: Path) -> None:
    """Raises PreflightError with every problem that would keep the engine from loading, and its remedy."""
    found = _engine_problems(settings, environment, work_dir)
    if found:
        raise PreflightError("; ".join(map(str, found)))


def run(environment: Mapping[str, str]) -> int:
    """Print what is wrong, a line each, the last line with all of it; 0 if nothing is, 1, or 78 for wrong settings.

    `environment` must be the process's own, with the server's settings.
    """
    try:
        settings = read_settings(environment)
    except SettingsError as error:
        print(f"the server's settings are wrong:\n{error}", file=sys.stderr)  # noqa: T201 - a command
        return EX_CONFIG
    found: list[Problem] = []
    if settings.engine == "indextts2":
        engine = read_engine_settings(environment)
        found += _weights_problems(engine)
        found += _engine_problems(engine, environment, settings.work_dir or Path("/tmp"))  # noqa: S108 - its parent
    if settings.store:
        cloud = cloud_facts(settings.store, environment)
        found += [] if cloud is None else cloud_problems(cloud)
    for problem in found:
        print(f"problem: {problem}", file=sys.stderr)  # noqa: T201
    if found:
        print(f"check: {len(found)} problem(s): {'; '.join(problem.what for problem in found)}", file=sys.stderr)  # noqa: T201
        return 1
    print("check: this machine can run the server", file=sys.stderr)  # noqa: T201
    return 0


def needs_of(settings: EngineSettings) -> Needs:
    names = required_files(settings.package.version)
    sizes = [path.stat().st_size for name in names if (path := settings.weights / name).is_file()]
    return Needs(
        package=settings.package,
        precision=settings.precision,
        device=settings.device,
        low_memory=settings.low_memory,
        largest_file=max(sizes, default=0),
        emotion_model=emotion_model(settings.weights) is not None,
    )


def _engine_problems(settings: EngineSettings, environment: Mapping[str, str], work_dir: Path) -> list[Problem]:
    found = machine_problems(machine_facts(environment, work_dir), needs_of(settings))
    for name in truncated_files(settings.weights, required_files(settings.package.version)):
        found.append(
            Problem(f"{name} in {settings.weights} ended too early", "fetch it again; docs/weights.md tells how")
        )
    return found


def _weights_problems(settings: EngineSettings) -> list[Problem]:
    try:
        check_weights(settings.weights, settings.package.version)
    except WeightsError as error:
        return [Problem(str(error), "fetch them again; docs/weights.md tells how")]
    return []
