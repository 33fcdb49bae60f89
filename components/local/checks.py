"""What can be known of this machine before anything on it is changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pulumi

from components.local.machine import ports
from components.local.machine.layout import PROJECT_ROOT, Layout
from components.settings import LocalSettings, SettingsError


def check(settings: LocalSettings, stack: str) -> None:
    """Raises `SettingsError` with everything on this machine that stands in the way of these settings."""
    layout = Layout.at(settings.data_dir)
    found = [
        path_problem(layout),
        data_dir_problem(layout, settings.data_dir),
        owner_problem(layout, stack),
        port_problem(settings, stack),
    ]
    problems = [text for text in found if text]
    if problems:
        raise SettingsError(problems)
    if settings.public:
        pulumi.log.warn(
            f"indextts2:host: {settings.host!r}: other machines can reach the service, and the keys and texts travel "
            "without TLS; put a TLS proxy in front, or set 127.0.0.1"
        )


def path_problem(layout: Layout) -> str | None:
    """supervisor and Caddy read the path from their configuration files, where these characters end a value."""
    path = str(layout.data)
    for end in ('"', "`", "\\", " ;", " #", "{"):
        if end in path:
            return f"indextts2:dataDir: {path!r}: a path with {end!r} in it cannot be used; choose another directory"
    if not path.isprintable():
        return f"indextts2:dataDir: {path!r}: a path with control characters cannot be used; choose another directory"
    return None


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
