"""What can be known of this machine before anything on it is changed."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pulumi

from components.local import engine_checks
from components.local.confinement import confinement
from components.local.machine import containers, ports
from components.local.machine.layout import PROJECT_ROOT, Layout, absolute
from components.local.resources.queue_file import tables
from components.settings import LocalSettings, SettingsError


def check(settings: LocalSettings, stack: str) -> None:
    """Raises `SettingsError` with everything on this machine that stands in the way of these settings."""
    layout = Layout.at(settings.data_dir, settings.contained)
    found = [
        path_problem("dataDir", layout.data),
        *engine_path_problems(settings),
        data_dir_problem(layout, settings.data_dir),
        owner_problem(layout, stack),
        queue_problem(layout),
        port_problem(settings, stack),
    ]
    problems = [text for text in found if text]
    if settings.contained:
        problems += container_problems(settings, layout)
    if settings.engine.name == "indextts2":
        problems += engine_checks.problems(settings, layout, engine_checks.look(settings, layout))
    if problems:
        raise SettingsError(problems)
    if settings.engine.name == "indextts2" and not engine_checks.has_default_voice(settings):
        pulumi.log.warn(
            "indextts2:engine.voices: there is no default voice: each request must bring or name one, and the example "
            "at the end of `make up` is not spoken; put a default.wav into that folder"
        )
    if settings.public:
        pulumi.log.warn(
            f"indextts2:host: {settings.host!r}: other machines can reach the service, and the keys and texts travel "
            "without TLS; put a TLS proxy in front, or set 127.0.0.1"
        )


def path_problem(key: str, path: Path) -> str | None:
    """supervisor and Caddy read the path from their configuration files, where these characters end a value."""
    for end in ('"', "`", "\\", " ;", " #", "{"):
        if end in str(path):
            return f"indextts2:{key}: {str(path)!r}: a path with {end!r} in it cannot be used; choose another"
    if not str(path).isprintable():
        return f"indextts2:{key}: {str(path)!r}: a path with control characters cannot be used; choose another"
    return None


def engine_path_problems(settings: LocalSettings) -> list[str | None]:
    """Those of the paths that servers with `indextts2` are told."""
    given = {
        "engine.python": settings.engine.python,
        "engine.voices": settings.engine.voices,
        "weights.folder": settings.weights.folder,
    }
    return [path_problem(key, absolute(path)) for key, path in given.items() if path]


def data_dir_problem(layout: Layout, shown: str) -> str | None:
    """Why the data directory cannot be made or written, without making it."""
    existing = layout.data
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        return f"indextts2:dataDir: {shown!r}: {existing} is not a directory; move it away or choose another path"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"indextts2:dataDir: {shown!r}: {existing} cannot be written by this user; choose another path"
    return None


def owner_problem(layout: Layout, stack: str) -> str | None:
    """Two stacks in one directory would end each other's processes."""
    owner = owner_in(layout)
    if owner is None or owner == owner_of(stack) or not Path(owner["project"]).is_dir():
        return None
    return (
        f"indextts2:dataDir: {str(layout.data)!r}: belongs to the stack {owner['stack']!r} of {owner['project']}; "
        "choose another directory"
    )


def queue_problem(layout: Layout) -> str | None:
    """Servers of the other runtime keep their jobs in another file."""
    other = replace(layout, contained=not layout.contained)
    try:
        waiting = tables(other.queue)
    except sqlite3.Error:
        return None  # no queue
    if not waiting:
        return None
    return (
        f"indextts2:runtime: {other.queue} holds jobs, which nobody would finish after the change; wait until they are "
        "done, then run it again, or choose another indextts2:dataDir"
    )


def container_problems(settings: LocalSettings, layout: Layout) -> list[str]:
    """Why servers cannot run in containers here."""
    told = containers.problem()
    paths = (*confinement(settings, layout, "").readable, str(layout.data))
    key = "indextts2:runtime: 'container'"
    return [
        *([f"{key}: {told}"] if told else []),
        *(f"{key}: {path!r}: a path with ',' in it cannot be mounted; choose another" for path in paths if "," in path),
    ]


def owner_in(layout: Layout) -> dict[str, str] | None:
    """What a data directory says of its owner; None when it says nothing that can be read."""
    try:
        owner = json.loads(layout.owner.read_text(encoding="utf-8"))
        return {"project": owner["project"], "stack": owner["stack"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def owner_of(stack: str) -> dict[str, str]:
    """What `Layout.owner` says for a stack of this checkout."""
    return {"project": str(PROJECT_ROOT), "stack": stack}


def port_problem(settings: LocalSettings, stack: str) -> str | None:
    """Why the load balancer cannot listen. This stack's own may hold the port, in an earlier data directory too."""
    text = ports.problem(settings.host, settings.port)
    if text:
        return f"indextts2:host, indextts2:port: {settings.host}:{settings.port}: {text}"
    holder = ports.holder(settings.host, settings.port)
    if holder is None or (holder.directory and owner_in(Layout(holder.directory.parent)) == owner_of(stack)):
        return None
    return (
        f"indextts2:port: {settings.port}: is in use by {holder}; stop it, or choose a free port: "
        f"pulumi config set indextts2:port {settings.port + 1}"
    )
