"""A machine to boot a node on: this one's files under an overlay, namespaces of its own, and a real systemd in them.

What runs in it sees a fresh machine: its own processes, network, /run, /etc/systemd and disk. What it writes goes with
it. The checkout and its Python are where they are on this machine, so that a node's container can be acted out here.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
_CLONE_NEWNET = 0x40000000
SYSTEMD = Path("/lib/systemd/systemd")
TOOLS = ("unshare", "nsenter", "ip", "mount", "chroot", "setpriv", "curl")

# Where the checkout and its Python are on the machine.
INSIDE = Path("/opt/stand-in")
PACKAGES = f"{INSIDE}/checkout/inference:{INSIDE}/checkout/{Path(sysconfig.get_path('purelib')).relative_to(CHECKOUT)}"

_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs {home}
mkdir {home}/upper {home}/work {home}/root
mount -t overlay overlay -o lowerdir=/,upperdir={home}/upper,workdir={home}/work {home}/root
cd {home}/root
{mounts}
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=0755 tmpfs dev
for node in null zero full random urandom tty; do
  touch dev/$node && mount --bind /dev/$node dev/$node
done
mkdir dev/shm dev/pts && ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs sys/fs/cgroup
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  umount sys/fs/cgroup
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
rm -rf etc/systemd/system && mkdir -p etc/systemd/system
for unit in systemd-sysctl systemd-binfmt systemd-modules-load systemd-udevd systemd-udev-trigger systemd-remount-fs; do
  ln -s /dev/null etc/systemd/system/$unit.service
done
ip link set lo up
exec env -i container=private PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  chroot . {systemd} --unit=basic.target --log-target=null --show-status=0
"""


# CGROUP... -- COMMAND...: run a command in these cgroups
_ENTER = """
while [ "$1" != -- ]; do
  echo $$ > "$1/cgroup.procs" || exit
  shift
done
shift
exec "$@"
"""


def why_not_here() -> str | None:
    """The reason why no such machine can be booted on this one, or None."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "booting a machine in namespaces needs root on Linux"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not SYSTEMD.exists() or missing:
        return f"booting a machine in namespaces needs systemd and {', '.join(missing or TOOLS)} on this one"
    with tempfile.TemporaryDirectory() as scratch:
        script = (
            f"mount -t tmpfs tmpfs {scratch} && mkdir {scratch}/u {scratch}/w {scratch}/m && "
            f"mount -t overlay overlay -o lowerdir=/,upperdir={scratch}/u,workdir={scratch}/w {scratch}/m"
        )
        tried = subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script], capture_output=True, text=True
        )
    return f"no namespaces or overlays can be made here: {tried.stderr.strip()[:200]}" if tried.returncode else None


def until(condition: Callable[[], Any], seconds: float = 120.0, told: Callable[[], str] = lambda: "") -> Any:
    """What `condition` returns as soon as it is truthy; the time-out only ends a test that has failed."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s; {told()}"
        time.sleep(0.05)
    return found


class NoMachineError(Exception):
    """This machine does not let another one be booted on it; nothing of the product has run by then."""


class Machine:
    """Booted by `with`; gone with everything that ran on it afterwards."""

    def __init__(self, scratch: Path) -> None:
        self._home = scratch / "machine"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._cgroups: list[Path] = []

    def __enter__(self) -> Machine:
        self._home.mkdir()
        try:
            self._cgroups = _make_cgroups()
        except OSError as error:
            raise NoMachineError(str(error)) from None
        script = _BOOT.format(home=self._home, mounts=_mounts(), systemd=SYSTEMD)
        self._process = subprocess.Popen(
            ["sh", "-c", _ENTER, "enter", *map(str, self._cgroups), "--", "setpriv", "--pdeathsig=KILL",
             "unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child",
             "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            self._init = until(self._find_init)
            until(lambda: self.run("systemctl", "is-active", "--quiet", "basic.target").returncode == 0, 30)
        except (AssertionError, OSError) as error:
            self.__exit__()
            raise NoMachineError(str(error)) from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        for cgroup in self._cgroups:
            until(functools.partial(_remove_cgroup, cgroup))

    def run(
        self, *command: str, data: str | None = None, env: Mapping[str, str] | None = None, seconds: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there as root."""
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            ["nsenter", f"--target={self._init}", "--mount", "--net", "--pid", "--uts", "--ipc", "--root",
             "env", "-i", "--chdir=/", path, *variables, *command],
            input=data, stdin=None if data is not None else subprocess.DEVNULL,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        """Start a program there that goes with the machine. It is a unit of its systemd's, named after the program."""
        settings = [f"--setenv={name}={value}" for name, value in (env or {}).items()]
        done = self.run(
            "systemd-run", "--quiet", "--collect", f"--unit=test-{Path(command[-1]).name}", *settings, *command
        )
        assert done.returncode == 0, done.stderr

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        done = self.run(
            "sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1" && chmod "$2" "$1"', "-", path, f"{mode:o}", data=text
        )
        assert done.returncode == 0, done.stderr

    def read(self, path: str) -> str:
        """The file's text, empty if there is none."""
        return self.run("cat", path).stdout

    def stand_in(self, command: str, program: str) -> None:
        """Make `command` one of the programs in `standins/`."""
        path = f"{INSIDE}/checkout/tests/node/standins/{program}"
        text = f'#!/bin/sh\nPYTHONPATH={PACKAGES} exec {INSIDE}/python/bin/python3 -B {path} "$@"\n'
        for folder in ("/usr/local/bin", "/usr/bin"):  # the machine below may have the real one in either
            self.write(f"{folder}/{command}", text, 0o755)

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening socket of the machine's own network, for a stand-in that runs in the test."""
        made: list[socket.socket] = []

        def make() -> None:
            # Of this thread only, which ends: https://man7.org/linux/man-pages/man2/setns.2.html
            with Path(f"/proc/{self._init}/ns/net").open() as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
                    return
            made.append(socket.create_server((address, port)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, "the machine's network cannot be entered"
        return made[0]

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", *arguments).stdout.strip()

    def _find_init(self) -> int | None:
        assert self._process is not None
        if self._process.poll() is not None:
            output = self._process.stdout.read().decode() if self._process.stdout else ""
            raise AssertionError(f"the machine did not boot: {output[-1000:]}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        return None


def _make_cgroups() -> list[Path]:
    """One in each hierarchy, below this process's own: the root of a cgroup namespace is where its first process was.

    Two machines in one would have units of the same names there, and a systemd that kills a unit's processes breaks
    off at one of another machine, which has no process id that it could see.
    """
    name = f"machine-{secrets.token_hex(8)}"
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "cpuset":  # takes no process before it is set up, and systemd leaves it alone
            continue
        for hierarchy in [controllers.removeprefix("name=")] if controllers else ["unified", ""]:
            own = Path("/sys/fs/cgroup", hierarchy, path.lstrip("/"))
            if (own / "cgroup.procs").exists():
                made.append(own / name)
                break
    for cgroup in made:
        cgroup.mkdir()
    return made


def _remove_cgroup(cgroup: Path) -> bool:
    """False while a process in it has yet to end."""
    try:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            Path(folder).rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _mounts() -> str:
    """Commands that put the checkout and its Python where every user there can reach them."""
    return "\n".join(
        f"mkdir -p .{place} && mount --rbind {shlex.quote(str(folder.resolve()))} .{place}"
        for folder, place in ((CHECKOUT, INSIDE / "checkout"), (Path(sys.base_prefix), INSIDE / "python"))
    )
