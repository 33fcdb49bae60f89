"""The job queue of this machine."""

from __future__ import annotations

import pulumi

from components import contracts
from components.contracts import JobQueueArgs
from components.local.machine.layout import Layout
from components.local.resources.queue_file import QueueFile
from components.settings import LocalSettings


class JobQueue(contracts.JobQueue):
    """A SQLite file that the replicas share, because they live on one machine."""

    def __init__(self, name: str, args: JobQueueArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:JobQueue", name, {}, opts)
        settings = args.settings
        QueueFile(
            f"{name}-queue",
            settings.data_dir,
            settings.contained,
            settings.storage.force_destroy,
            pulumi.ResourceOptions(parent=self),
        )
        self.url = pulumi.Output.from_input(f"sqlite:///{Layout.at(settings.data_dir, settings.contained).queue}")
        self.register_outputs({"url": self.url})
