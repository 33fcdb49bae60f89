"""The weights of the model on this machine's disk, fetched from a store."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine import engine_packages
from components.local.machine.errors import MachineError
from components.local.machine.layout import private_directory
from components.local.resources.provider import LocalProvider, Props, say, told_plainly

WHOLE = "whole"


class WeightsProvider(LocalProvider):
    delete_before_replace = False  # the servers that read them go first
    replaced_by = ("dataDir", "folder")

    def expected(self, inputs: Props) -> Props:
        return {"fetched": inputs["url"], "state": WHOLE}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        fetch(props)
        return CreateResult(props["folder"], {**props, **self.expected(props)})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, {**props, "state": state(props)})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        fetch(_news)
        return UpdateResult({**_news, **self.expected(_news)})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        folder = Path(_props["folder"])
        shutil.rmtree(folder, ignore_errors=True)
        for directory in (folder.parent, folder.parent.parent):
            if directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()


class Weights(Resource, module="local", name="Weights"):
    """A folder of verified weights; `url`: as `indextts2 weights pull` takes it."""

    def __init__(
        self,
        name: str,
        data_dir: str,
        folder: str,
        python: str,
        version: str,
        url: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props = {
            "dataDir": data_dir,
            "folder": folder,
            "python": python,
            "version": version,
            "url": url,
            "fetched": None,
            "state": None,
        }
        super().__init__(WeightsProvider(), name, props, opts)


def fetch(props: Props) -> None:
    """Bring the weights here, and tell how far it is. Raises `MachineError` with the program's last words.

    The program goes on from what an earlier one left, and reads nothing twice that is whole and verified.
    """
    private_directory(Path(props["folder"]))
    # With the caller's own credentials for the store; what is Pulumi's is none of its business.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "SPEECH_"))}
    command = [props["python"], "-m", "speech_server", "weights", "pull", props["url"], props["folder"]]
    said: deque[str] = deque(maxlen=15)
    try:
        with subprocess.Popen(
            command,
            cwd=props["folder"],
            env=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip()[:500])
                say(said[-1])
    except OSError as error:
        raise MachineError(
            f"indextts2:engine.python: {props['python']} does not run ({error}); `make engine`"
        ) from None
    if process.returncode:
        last = "\n".join(f"    {line}" for line in said)
        raise MachineError(
            f"indextts2:weights: {props['url']}: they could not be fetched (status {process.returncode}):\n{last}"
        )


def state(props: Props) -> str:
    """`whole`, or why the engine would not load what is in the folder."""
    found = engine_packages.ask(Path(props["python"]), props["version"], Path(props["folder"]))
    if isinstance(found, str):
        return found
    return "there is no speech_server to ask" if "speech_server" in found.missing else found.weights or WHOLE
