"""The speech service: its parts composed once, for every target."""

from __future__ import annotations

import importlib

import pulumi

from components import contracts
from components.prices.catalogue import PUBLISHED
from components.prices.rendering import output
from components.prices.stack import price
from components.settings import StackSettings


class SpeechService(pulumi.ComponentResource):
    """Network -> ObjectStore -> JobQueue -> ApiKeys -> ServerImage -> GpuFleet -> LoadBalancer -> Monitoring.

    Raises `SettingsError` when the machine or account cannot carry the settings, before anything is registered but the
    providers through which the account is asked.
    """

    def __init__(self, name: str, settings: StackSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        # The chosen target's package and no other is imported: another cloud's SDK costs time and memory.
        parts: contracts.Parts = importlib.import_module(f"components.{settings.target}").PARTS
        if settings.checks:
            parts.check(settings, pulumi.get_stack())

        providers = list(parts.providers(settings))
        if settings.checks and parts.survey:
            settings = parts.survey(settings, providers)

        under = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=providers))
        super().__init__("indextts2:service:SpeechService", name, {}, under)
        child = pulumi.ResourceOptions(parent=self)

        network = parts.network(name, contracts.NetworkArgs(settings), child) if parts.network else None
        store = parts.store(name, contracts.ObjectStoreArgs(settings), child)
        queue = parts.queue(name, contracts.JobQueueArgs(settings), child)
        keys = parts.keys(name, contracts.ApiKeysArgs(settings), child)
        image = parts.image(name, contracts.ServerImageArgs(settings), child)
        fleet = parts.fleet(name, contracts.GpuFleetArgs(settings, network, store, queue, keys, image), child)
        balancer = parts.load_balancer(name, contracts.LoadBalancerArgs(settings, network, fleet), child)
        monitoring_args = contracts.MonitoringArgs(settings, queue, fleet, balancer)
        monitoring = parts.monitoring(name, monitoring_args, child) if parts.monitoring else None

        outputs = {
            "url": balancer.url,
            "healthUrl": balancer.health_url,
            "bucket": store.bucket,
            "queue": queue.url,
            "apiKeysSecret": keys.reference,
            "apiKey": keys.generated,
            "image": image.reference,
            "fleet": fleet.label,
            "region": settings.place,
            "dashboardUrl": monitoring.dashboard_url if monitoring else None,
            "price": output(price(parts.bill(settings), PUBLISHED)) if parts.bill else None,
        }
        self.outputs = {key: value for key, value in outputs.items() if value is not None}
        self.register_outputs(self.outputs)
