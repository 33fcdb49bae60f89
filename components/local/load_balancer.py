"""The load balancer of this machine."""

from __future__ import annotations

import pulumi

from components import contracts
from components.contracts import LoadBalancerArgs
from components.local.fleet import GpuFleet
from components.local.resources.proxy import Proxy
from components.settings import LocalSettings


class LoadBalancer(contracts.LoadBalancer):
    """Caddy: least connections, health checks on /readyz, a dying replica's requests to another, an access log."""

    def __init__(self, name: str, args: LoadBalancerArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:LoadBalancer", name, {}, opts)
        settings = args.settings
        assert isinstance(args.fleet, GpuFleet)
        proxy = Proxy(
            f"{name}-proxy",
            settings.data_dir,
            settings.host,
            settings.port,
            pulumi.ResourceOptions(parent=self, depends_on=[args.fleet.replicas]),
        )
        self.url = proxy.url
        self.health_url = pulumi.Output.concat(proxy.url, "/readyz")
        self.register_outputs({"url": self.url, "healthUrl": self.health_url})
