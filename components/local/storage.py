"""The object store of this machine."""

from __future__ import annotations

import pulumi

from components import contracts
from components.contracts import ObjectStoreArgs
from components.local.machine.layout import Layout
from components.local.resources.directory import Directory
from components.settings import LocalSettings


class ObjectStore(contracts.ObjectStore):
    """A directory of mode 0700, because one machine needs no more."""

    def __init__(self, name: str, args: ObjectStoreArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:ObjectStore", name, {}, opts)
        settings = args.settings
        objects = Layout.at(settings.data_dir).objects
        Directory(
            f"{name}-objects",
            settings.data_dir,
            settings.storage.force_destroy,
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket = pulumi.Output.from_input(str(objects))
        self.url = pulumi.Output.from_input(objects.as_uri())
        self.register_outputs({"bucket": self.bucket, "url": self.url})
