"""The object store's directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine.layout import private_directory
from components.local.resources.provider import LocalProvider, Props, layout_of, say, told_plainly


class DirectoryProvider(LocalProvider):
    delete_before_replace = False

    def expected(self, inputs: Props) -> Props:
        return {"forceDestroy": inputs["forceDestroy"], "present": True}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        objects = layout_of(props).objects
        private_directory(objects)
        return CreateResult(str(objects), {**props, "present": True})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, {**props, "present": layout_of(props).objects.is_dir()})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        private_directory(layout_of(_news).objects)
        return UpdateResult({**_news, "present": True})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        objects = layout_of(_props).objects
        count = object_count(objects)
        if count and not _props["forceDestroy"]:
            say(
                f"{objects} is kept: it holds {count} objects. "
                "Delete it by hand, or set indextts2:storage.forceDestroy before `pulumi destroy`."
            )
            return
        shutil.rmtree(objects, ignore_errors=True)


class Directory(Resource, module="local", name="Directory"):
    """A private directory that outlives the stack while it holds objects."""

    def __init__(self, name: str, data_dir: str, force_destroy: bool, opts: pulumi.ResourceOptions) -> None:
        props = {"dataDir": data_dir, "forceDestroy": force_destroy, "present": None}
        super().__init__(DirectoryProvider(), name, props, opts)


def object_count(directory: Path) -> int:
    """How many objects are below the directory; what the servers note for themselves there are none."""
    if not directory.is_dir():
        return 0
    files = (path.relative_to(directory) for path in directory.rglob("*") if not path.is_dir())
    return sum(1 for path in files if not path.name.startswith(".") and path.parts[:2] != ("jobs", "sweeps"))
