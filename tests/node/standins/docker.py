"""A stand-in for Docker on a machine of the tests. It pulls from a folder that says what a registry has, and runs an
image as a unit of the machine's systemd with the same bounds: the user, the read-only root, the rights, the mounts.

It says that it is one, and refuses what Docker would refuse: an image that is not there, another digest, a login that
is wrong, GPUs without NVIDIA's runtime, a name that is taken, an option that it does not know.
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import subprocess
import sys
import time

DATA = pathlib.Path("/var/lib/stand-in-docker")  # what it has: images.json
REGISTRY = pathlib.Path("/var/lib/stand-in-registry.json")  # what there is to pull; the test writes it
RUNTIME = pathlib.Path("/etc/stand-in-nvidia")
PYTHON = "/opt/stand-in/python/bin/python3"


class RefusedError(Exception):
    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def main(arguments):
    commands = {
        "exec": execute,
        "run": run,
        "pull": pull,
        "login": login,
        "rm": remove,
        "stop": stop,
        "wait": wait,
        "info": info,
    }
    try:
        if arguments[:2] == ["image", "inspect"]:
            return inspect(arguments[2:])
        if not arguments or arguments[0] not in commands:
            raise RefusedError(f"the stand-in for docker has no command {arguments[:1]}", 125)
        return commands[arguments[0]](arguments[1:])
    except RefusedError as refused:
        sys.stderr.write(f"docker (a stand-in): {refused}\n")
        return refused.code
    except OSError as error:
        sys.stderr.write(f"docker (a stand-in): write {error.filename}: {error.strerror}\n")
        return 1


def pull(arguments):
    options = _parser("--quiet", "image").parse_args(arguments)
    if not REGISTRY.exists():
        raise RefusedError("Get https://registry/v2/: dial tcp: connect: connection refused")
    found = json.loads(REGISTRY.read_text()).get(options.image)
    if found is None:
        raise RefusedError(f"manifest for {options.image} not found: manifest unknown")
    host = options.image.partition("/")[0]
    if found.get("password") and _logins().get(host) != found["password"]:
        raise RefusedError(f"pull access denied for {options.image}: no basic auth credentials")
    if "@sha256:" not in options.image:
        raise RefusedError(f"{options.image}: the tests' registry is pulled from by digest")
    # The test holds what is on its way until this file is there.
    while (until := found.get("held_until")) and not pathlib.Path(until).exists():
        time.sleep(0.05)
    DATA.mkdir(mode=0o711, exist_ok=True)
    with (DATA / f"layer-{os.getpid()}").open("wb") as layer:  # so that a full disk is met here, as with the real one
        layer.write(bytes(2 << 20))
        os.fsync(layer.fileno())
    with (DATA / "lock").open("w") as lock:  # two may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write(DATA / "images.json", {**_images(), options.image: found})
    print(options.image)
    return 0


def login(arguments):
    options = _parser("--username=", "--password-stdin", "host").parse_args(arguments)
    if not options.password_stdin:
        raise RefusedError("a password on the command line")
    folder = pathlib.Path(os.environ.get("DOCKER_CONFIG") or "/root/.docker")
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "stand-in.json", {**_logins(), options.host: sys.stdin.read().rstrip("\r\n")})
    print("Login Succeeded")
    return 0


def inspect(arguments):
    options = _parser("image").parse_args(arguments)
    if options.image not in _images():
        raise RefusedError(f"No such image: {options.image}")
    print("[]")
    return 0


def info(arguments):
    _parser("--format=").parse_args(arguments)
    runtimes = {"runc": {}, **({"nvidia": {}} if RUNTIME.exists() else {})}
    print(json.dumps(runtimes))
    return 0


def run(arguments):
    options = _parser(
        "--detach", "--rm", "--init", "--name=", "--gpus=", "--read-only", "--cap-drop=", "--security-opt=",
        "--pids-limit=", "--user=", "--tmpfs=*", "--volume=*", "--env-file=*", "--env=*", "--publish=",
        "--stop-timeout=", "--log-driver=", "--log-opt=*", "--entrypoint=", "--network=", "--shm-size=",
        "image", "command*",
    ).parse_args(arguments)  # fmt: skip
    image = _images().get(options.image)
    if image is None:
        raise RefusedError(f"Unable to find image '{options.image}' locally", 125)
    if options.gpus and not RUNTIME.exists():
        raise RefusedError('could not select device driver "" with capabilities: [[gpu]]', 125)
    if _state(options.name) is not None:
        raise RefusedError(f'Conflict. The container name "/{options.name}" is already in use', 125)
    user, _, group = options.user.partition(":")
    _known_to_systemd(user, group)
    unit = [
        f"User={user}", f"Group={group}", "ProtectSystem=strict", "PrivateTmp=no", "NoNewPrivileges=yes",
        "KillMode=mixed", f"TimeoutStopSec={options.stop_timeout or 10}", "CapabilityBoundingSet=",
        f"TasksMax={options.pids_limit}", "WorkingDirectory=/",
    ]  # fmt: skip
    for mount in options.tmpfs:
        target, _, settings = mount.partition(":")
        unit.append(f"TemporaryFileSystem={target}:{','.join(re.findall(r'(?:size|mode|uid|gid)=[^,]+', settings))}")
    for volume in options.volume:
        source, target, *flags = volume.split(":")
        if not pathlib.Path(source).exists():
            raise RefusedError(f"{source}: there is none; Docker would make an empty folder, owned by root", 125)
        unit.append(f"{'BindReadOnlyPaths' if 'ro' in flags else 'BindPaths'}={source}:{target}")
    variables = {"PATH": "/opt/stand-in/python/bin:/usr/bin:/bin", **image["env"]}
    for path in options.env_file:
        variables.update(_env_file(pathlib.Path(path)))
    variables.update(one.split("=", 1) for one in options.env)
    command = (
        [options.entrypoint, *options.command]
        if options.entrypoint
        else [*image["entrypoint"], *(options.command or image["cmd"])]
    )
    command[0] = PYTHON if command[0] == "python" else command[0]
    started = [
        "systemd-run", "--quiet", f"--unit=container-{options.name}", *(f"--property={one}" for one in unit),
        *(f"--setenv={name}={value}" for name, value in variables.items()),
    ]  # fmt: skip
    if not options.detach:
        return subprocess.run([*started, "--wait", "--pipe", "--collect", "--", *command], check=False).returncode
    done = subprocess.run(
        [*started, "--property=RemainAfterExit=yes", "--property=Type=exec",
         f"--property=StandardOutput=append:/var/log/container-{options.name}.log", "--property=StandardError=inherit",
         "--", *command], capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RefusedError(done.stderr.strip(), 125)
    print("0" * 64)
    return 0


def execute(arguments):
    name, program, *rest = arguments
    state = _state(name)
    if state is None or state["MainPID"] == "0":
        raise RefusedError(f"No such container: {name}")
    if program != "indextts2":
        raise RefusedError(f"{program}: executable file not found in $PATH", 127)
    variables = pathlib.Path(f"/proc/{state['MainPID']}/environ").read_bytes().decode().split("\0")[:-1]
    inside = ["nsenter", f"--target={state['MainPID']}", "--mount", "--root", "--setuid=10001", "--setgid=10001"]
    command = [*inside, "env", "-i", *variables, PYTHON, "-m", "speech_server", *rest]
    return subprocess.run(command, check=False).returncode


def wait(arguments):
    (name,) = arguments
    while (state := _state(name)) is not None and state["SubState"] in ("start", "running", "stop-sigterm"):
        time.sleep(0.05)
    print(0 if state is None else state["ExecMainStatus"])
    return 0


def stop(arguments):
    options = _parser("-t=", "name").parse_args(arguments)
    if _state(options.name) is None:
        raise RefusedError(f"No such container: {options.name}")
    # --rm: it goes when it has ended
    subprocess.run(["systemctl", "stop", f"container-{options.name}.service"], check=True)
    return 0


def remove(arguments):
    options = _parser("-f", "name").parse_args(arguments)
    if _state(options.name) is None:
        raise RefusedError(f"No such container: {options.name}")
    unit = f"container-{options.name}.service"
    subprocess.run(["systemctl", "kill", "--signal=KILL", unit], check=False, capture_output=True)
    subprocess.run(["systemctl", "stop", unit], check=False, capture_output=True)
    subprocess.run(["systemctl", "reset-failed", unit], check=False, capture_output=True)
    return 0


def _parser(*names):
    parser = argparse.ArgumentParser(prog="docker (a stand-in)", allow_abbrev=False)
    for name in names:
        if not name.startswith("-"):
            parser.add_argument(name.rstrip("*"), nargs="..." if name.endswith("*") else None)
        elif name.endswith("=*"):
            parser.add_argument(name[:-2], action="append", default=[])
        elif name.endswith("="):
            parser.add_argument(name[:-1])
        else:
            parser.add_argument(name, action="store_true")
    return parser


def _state(name):
    """Of the container's unit; None if there is none."""
    shown = subprocess.run(
        ["systemctl", "show", f"container-{name}.service", "-p", "LoadState,SubState,ExecMainStatus,MainPID"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    state = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    return None if state["LoadState"] == "not-found" or state["SubState"] == "dead" else state


def _known_to_systemd(user, group):
    """Docker takes any number for a user; systemd one that has a name."""
    for path, line in (
        ("/etc/passwd", f"in-a-container:x:{user}:{group}::/:/usr/sbin/nologin"),
        ("/etc/group", f"in-a-container:x:{group}:"),
    ):
        if "in-a-container:" not in pathlib.Path(path).read_text():
            with pathlib.Path(path).open("a") as file:
                file.write(line + "\n")


def _env_file(path):
    """As Docker reads it: each line is a name and a value, with no quotes to take away."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _images():
    path = DATA / "images.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _logins():
    path = pathlib.Path(os.environ.get("DOCKER_CONFIG") or "/root/.docker") / "stand-in.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path, value):
    """Whole for whoever reads it meanwhile."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(value))
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
