"""The nodes of this machine: processes."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict

import pulumi

from components import contracts
from components.contracts import GpuFleetArgs
from components.local import engine
from components.local.checks import owner_of
from components.local.confinement import confinement
from components.local.image import ServerImage
from components.local.machine import containers
from components.local.machine.caddyfile import site_url
from components.local.machine.layout import Layout
from components.local.resources.daemon import Daemon
from components.local.resources.replicas import Replicas
from components.local.resources.weights import Weights
from components.local.secrets import ApiKeys
from components.settings import LocalSettings


class GpuFleet(contracts.GpuFleet):
    """- A process supervisor, which keeps everything running after the terminal is closed.
    - The weights of the model, where the stack brings them here.
    - N server replicas on Unix sockets, so that a replica cannot be reached past the load balancer; with runtime
      container each of them in one.
    """

    def __init__(self, name: str, args: GpuFleetArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:GpuFleet", name, {}, opts)
        settings = args.settings
        assert isinstance(args.keys, ApiKeys)
        assert isinstance(args.image, ServerImage)
        layout = Layout.at(settings.data_dir, settings.contained)

        daemon = Daemon(
            f"{name}-supervisor",
            settings.data_dir,
            owner_of(pulumi.get_stack()),
            pulumi.ResourceOptions(parent=self),
        )
        # The store and the queue too: a server that outlived them would make them anew.
        before: list[pulumi.Resource] = [daemon, args.keys.file, args.store, args.queue]
        if engine.fetched(settings):
            before.append(
                Weights(
                    f"{name}-weights",
                    settings.data_dir,
                    str(engine.weights_folder(settings, layout)),
                    str(engine.python(settings)),
                    str(settings.engine.version),
                    engine.weights_url(settings),
                    pulumi.ResourceOptions(parent=self),
                )
            )
        self.replicas = Replicas(
            f"{name}-replicas",
            settings.data_dir,
            settings.replicas,
            str(engine.python(settings)),
            pulumi.Output.all(args.image.digest, args.store.url, args.queue.url).apply(
                lambda found: server_environment(settings, layout, pulumi.get_stack(), *found)
            ),
            self._containers(args.image, settings, layout),
            pulumi.ResourceOptions(parent=self, depends_on=before),
        )
        self.label = pulumi.Output.from_input(str(layout.run / "supervisord.conf"))
        self.register_outputs({"label": self.label})

    @staticmethod
    def _containers(
        image: ServerImage, settings: LocalSettings, layout: Layout
    ) -> pulumi.Output[dict[str, object]] | None:
        if image.container is None:
            return None
        docker = str(shutil.which("docker"))
        daemon = {name: os.environ[name] for name in containers.WHICH_DAEMON if name in os.environ}

        def of(found: str) -> dict[str, object]:
            return {"docker": docker, "daemon": daemon, "confinement": asdict(confinement(settings, layout, found))}

        return image.container.image.apply(of)


def server_environment(
    settings: LocalSettings, layout: Layout, stack: str, image: str, store: str, queue: str
) -> dict[str, str]:
    """What every replica is told; no secret, for it stands in files and process tables."""
    return {
        **engine.environment(settings, layout),
        "SPEECH_API_KEYS_FILE": str(layout.keys),
        "SPEECH_KEY_HINT": f"on this machine: pulumi stack output apiKey --show-secrets --stack {stack}",
        "SPEECH_IMAGE": image,
        "SPEECH_STORE": store,
        "SPEECH_QUEUE": queue,
        "SPEECH_RESULT_DAYS": str(settings.storage.result_days),
        "SPEECH_LOG_OBJECTS": "false",  # the files in logs/ are kept and rotated already
        "SPEECH_PUBLIC_URL": site_url(settings.host, settings.port),
    }
