"""The process supervisor of the stack."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine import programs
from components.local.machine.layout import private_directory, read_text, write_private
from components.local.machine.supervisor import Supervisor
from components.local.resources.provider import LocalProvider, Props, layout_of, say, told_plainly


class DaemonProvider(LocalProvider):
    def expected(self, inputs: Props) -> Props:
        text = programs.daemon_config(layout_of(inputs))
        return {"owner": inputs["owner"], "configuration": fingerprint(text), "running": True}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        layout = layout_of(props)
        private_directory(layout.data)
        write_private(layout.owner, json.dumps(props["owner"]))
        Supervisor(layout).start()
        return CreateResult(str(layout.run), {**props, **self.expected(props)})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        layout = layout_of(props)
        found = read_text(layout.run / "supervisord.conf") or ""
        running = Supervisor(layout).running()
        return ReadResult(id_, {**props, "configuration": fingerprint(found), "running": running})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        layout, expected = layout_of(_news), self.expected(_news)
        write_private(layout.owner, json.dumps(_news["owner"]))
        if _olds.get("configuration") != expected["configuration"]:
            # supervisord reads its own section only when it starts.
            say("the process supervisor starts again with its new settings")
            Supervisor(layout).stop()
        Supervisor(layout).start()
        return UpdateResult({**_news, **expected})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        layout = layout_of(_props)
        Supervisor(layout).stop()
        for directory in {layout.run, layout.sockets, layout.logs, layout.cache}:
            shutil.rmtree(directory, ignore_errors=True)
        layout.owner.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what is kept, keeps its directory
            layout.data.rmdir()


class Daemon(Resource, module="local", name="Supervisor"):
    """supervisord: keeps the stack's processes alive, after the terminal is closed too."""

    def __init__(self, name: str, data_dir: str, owner: dict[str, str], opts: pulumi.ResourceOptions) -> None:
        props = {"dataDir": data_dir, "owner": owner, "configuration": None, "running": None}
        super().__init__(DaemonProvider(), name, props, opts)


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
