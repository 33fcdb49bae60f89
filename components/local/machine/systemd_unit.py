"""The systemd unit that brings a local stack up with the machine, as a user of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from components.local.machine.layout import PROJECT_ROOT, Layout

# Longer than what the supervisor and its slowest program may take to end.
STOP_SECONDS = 200


@dataclass(frozen=True)
class Unit:
    """`user` owns the stack's directory. `gpus`: the engine uses them."""

    stack: str
    user: str
    layout: Layout
    gpus: bool

    @property
    def file_name(self) -> str:
        return f"indextts2-{self.stack}.service"


def text(unit: Unit) -> str:
    """The whole file."""
    layout = unit.layout
    writable = [layout.data] if layout.sockets == layout.run else [layout.data, Path("/tmp")]  # noqa: S108 - see Layout
    return "\n".join(
        [
            f"# {unit.file_name}: written by `make systemd-unit`; install it as root, see docs/local.md",
            "[Unit]",
            f"Description=IndexTTS2 speech service, stack {unit.stack}",
            "After=network-online.target nvidia-persistenced.service docker.service",
            "Wants=network-online.target",
            *(f"RequiresMountsFor={_quoted(path)}" for path in (PROJECT_ROOT, layout.data)),
            "StartLimitIntervalSec=600",
            "StartLimitBurst=10",
            "",
            "[Service]",
            "Type=exec",
            f"User={unit.user}",
            f"WorkingDirectory={_plain(PROJECT_ROOT)}",
            f"ExecStart={_quoted(sys.executable)} -m components.local.machine.keeper {_quoted(layout.data)}",
            "Restart=on-failure",
            "RestartSec=10",
            "# The keeper alone is told to end, and ends the others in their order: what is being spoken is finished.",
            "KillMode=mixed",
            f"TimeoutStopSec={STOP_SECONDS}",
            "OOMPolicy=continue",
            "LimitNOFILE=65536",
            "UMask=0077",
            "",
            *_HARDENING,
            "ProtectHome=read-only",
            *(f"ReadWritePaths={_quoted(path)}" for path in writable),
            *([] if len(writable) > 1 else ["PrivateTmp=yes"]),
            *(_GPUS if unit.gpus else ["PrivateDevices=yes"]),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


_HARDENING = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)

# The groups of devices are as /proc/devices names them: nvidia or nvidia-frontend, nvidiactl, nvidia-uvm, nvidia-caps.
# Their files are there when nvidia-persistenced runs or a program of root's has used the GPU: a service that may not
# gain rights cannot have them made.
_GPUS = (
    "DevicePolicy=closed",
    "DeviceAllow=char-nvidia* rw",
)


def _plain(path: Path) -> str:
    """A path where systemd takes the rest of the line."""
    return str(path).replace("%", "%%")


def _quoted(path: Path | str) -> str:
    """One word for systemd: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html#Quoting"""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
