"""The nodes of this machine: processes."""

from __future__ import annotations

import pulumi

from components import contracts
from components.contracts import GpuFleetArgs
from components.local.checks import owner_of
from components.local.image import ServerImage
from components.local.machine.caddyfile import site_url
from components.local.machine.layout import Layout
from components.local.resources.daemon import Daemon
from components.local.resources.replicas import Replicas
from components.local.secrets import ApiKeys
from components.settings import LocalSettings


class GpuFleet(contracts.GpuFleet):
    """- A process supervisor, which keeps everything running after the terminal is closed.
    - N server replicas on Unix sockets, so that a replica cannot be reached past the load balancer.
    """

    def __init__(self, name: str, args: GpuFleetArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:GpuFleet", name, {}, opts)
        settings = args.settings
        assert isinstance(args.keys, ApiKeys)
        assert isinstance(args.image, ServerImage)
        layout = Layout.at(settings.data_dir)
        digest = args.image.digest

        daemon = Daemon(
            f"{name}-supervisor",
            settings.data_dir,
            owner_of(pulumi.get_stack()),
            pulumi.ResourceOptions(parent=self),
        )
        self.replicas = Replicas(
            f"{name}-replicas",
            settings.data_dir,
            settings.replicas,
            pulumi.Output.all(args.store.url, args.queue.url).apply(
                lambda urls: server_environment(settings, layout, digest, pulumi.get_stack(), *urls)
            ),
            # The store and the queue too: a server that outlived them would make them anew.
            pulumi.ResourceOptions(parent=self, depends_on=[daemon, args.keys.file, args.store, args.queue]),
        )
        self.label = pulumi.Output.from_input(str(layout.run / "supervisord.conf"))
        self.register_outputs({"label": self.label})


def server_environment(
    settings: LocalSettings, layout: Layout, image: str, stack: str, store: str, queue: str
) -> dict[str, str]:
    """What every replica is told; no secret, for it stands in files and process tables."""
    return {
        "SPEECH_ENGINE": settings.engine.name,
        "SPEECH_API_KEYS_FILE": str(layout.keys),
        "SPEECH_KEY_HINT": f"on this machine: pulumi stack output apiKey --show-secrets --stack {stack}",
        "SPEECH_IMAGE": f"sha256:{image}",
        "SPEECH_STORE": store,
        "SPEECH_QUEUE": queue,
        "SPEECH_RESULT_DAYS": str(settings.storage.result_days),
        "SPEECH_LOG_OBJECTS": "false",  # the files in logs/ are kept and rotated already
        "SPEECH_PUBLIC_URL": site_url(settings.host, settings.port),
    }
