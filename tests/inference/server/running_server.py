"""A real server process with the strict engine, on a unix socket in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[3]
STRICT = "tests.inference.server.strict_engine:StrictEngine"
KEY = "key-of-the-first-client"
OTHER_KEY = "key-of-the-other-client"
KEY_HINT = "the keys are in keys.json"


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `condition` returns as soon as it is truthy; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.005)
    return found


class RunningServer:
    """`python -m speech_server serve`; settings are keyword arguments, `max_body_bytes=...`."""

    def __init__(self, folder: Path, wrapper: Sequence[str] = (), ready: bool = True, **settings: object) -> None:
        self.folder = folder
        self.control = folder / "control"
        self.control.mkdir(exist_ok=True)
        self.keys_file = folder / "keys.json"
        if not self.keys_file.exists():
            self.write_keys({"first": KEY, "other": OTHER_KEY})
        self.socket = folder / "s.sock"
        self.log_file = folder / "log.jsonl"
        values = {
            "listen": f"unix:{self.socket}",
            "engine": STRICT,
            "api_keys_file": self.keys_file,
            "key_hint": KEY_HINT,
            "replica": "replica-1",
            "image": "sha256:test",
            "work_dir": folder / "work",
            **settings,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SPEECH_")}
        environment |= {f"SPEECH_{name.upper()}": str(value) for name, value in values.items()}
        environment |= {"PYTHONPATH": f"{ROOT / 'inference'}:{ROOT}", "STRICT_ENGINE_DIR": str(self.control)}
        command = [*wrapper, sys.executable, "-m", "speech_server", "serve"]
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log)
        if ready:
            try:
                until(self.is_ready, 60)
            except BaseException:
                self.kill()
                raise

    def write_keys(self, keys: object) -> None:
        replacement = self.keys_file.with_suffix(".new")
        replacement.write_text(keys if isinstance(keys, str) else json.dumps(keys))
        replacement.chmod(0o600)
        replacement.replace(self.keys_file)

    def client(self, key: str | None = KEY, timeout: float = 30.0) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # no TLS here, and to read the system's certificates for it takes 20 ms
        transport = httpx.HTTPTransport(uds=str(self.socket), verify=False)
        return httpx.Client(transport=transport, base_url="http://speech", headers=headers, timeout=timeout)

    def generate(self, text: str = "hello", key: str | None = KEY, **fields: object) -> httpx.Response:
        with self.client(key) as client:
            return client.post("/generate", json={"text": text, **fields})

    def probe(self) -> httpx.Response:
        with self.client(None) as client:
            return client.get("/readyz")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log_file.read_text()
        # The socket appears when it can be connected to.
        return self.socket.exists() and self.probe().status_code == 200

    def metric(self, sample: str) -> float:
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    def calls(self, event: str = "call") -> list[dict[str, Any]]:
        """What the engine recorded, oldest first."""
        file = self.control / "calls.jsonl"
        calls = _complete_lines(file) if file.exists() else []
        return [call for call in calls if call["event"] == event]

    def called(self, text: str, event: str = "call") -> list[dict[str, Any]]:
        return [call for call in self.calls(event) if call["text"] == text]

    def open_gate(self, name: str) -> None:
        (self.control / name).touch()

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        return [line for line in _complete_lines(self.log_file) if event is None or line["event"] == event]

    def engine_process(self) -> psutil.Process:
        """The one that runs now. The log may be a moment late."""

        def running() -> psutil.Process | None:
            ready = self.log("engine_ready")
            try:
                return psutil.Process(ready[-1]["pid"]) if ready else None
            except psutil.NoSuchProcess:
                return None

        return until(running)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        until(lambda: self.log("draining"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


def _complete_lines(file: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file that is being written to."""
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
