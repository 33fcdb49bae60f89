"""What every target provides: the parts of the speech service, what each takes and what each gives.

A target is a package `components.NAME` with a `PARTS` of this module's type. A part is a component resource with a
frozen `...Args`; it takes its neighbours as objects, in the order Network, ObjectStore, JobQueue, ApiKeys,
ServerImage, GpuFleet, LoadBalancer, Monitoring. What all targets share of a part stands on the class here; what only
siblings of one target need of each other stands on that target's own class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi

from components.prices.stack import Bill
from components.settings import StackSettings

S = TypeVar("S", bound=StackSettings)

SERVER_PORT = 8000
"""The TCP port on which a node's server listens, where a load balancer reaches nodes by address."""


class Network(pulumi.ComponentResource):
    """Where the nodes and the load balancer live and who may reach whom. A single machine has none."""


class ObjectStore(pulumi.ComponentResource):
    """The bucket of voices, uploads and results."""

    bucket: pulumi.Output[str]
    """Its name; for a single machine the directory."""
    url: pulumi.Output[str]
    """Where the server finds it: `s3://`, `oss://` or `file://`."""


class JobQueue(pulumi.ComponentResource):
    """The queue of jobs that wait for a node."""

    url: pulumi.Output[str]
    """Where the server finds it: `sqs://`, `smq://` or `sqlite:///`."""


class ApiKeys(pulumi.ComponentResource):
    """The clients' API keys, kept where only the servers can read them."""

    reference: pulumi.Output[str]
    """Where they are kept (a secret's name, a file), never a key."""
    generated: pulumi.Output[str] | None
    """The key that the target made for its own use, secret; None where every key is given."""


class ServerImage(pulumi.ComponentResource):
    """The speech server's code and dependencies as one immutable thing that nodes run."""

    reference: pulumi.Output[str]
    """What a node runs; it changes exactly when what would run changes."""
    weights_reference: pulumi.Input[str] | None = None
    """What brings a node the weights meanwhile; None where `reference` brings them too, or there are none."""


class GpuFleet(pulumi.ComponentResource):
    """The nodes that speak."""

    label: pulumi.Output[str]
    """The fleet's name where its vendor lists it."""


class LoadBalancer(pulumi.ComponentResource):
    """The one address of the service."""

    url: pulumi.Output[str]
    health_url: pulumi.Output[str]


class Monitoring(pulumi.ComponentResource):
    """Logs, alarms and the dashboard. A single machine has log files instead."""

    dashboard_url: pulumi.Output[str]


@dataclass(frozen=True)
class NetworkArgs(Generic[S]):
    settings: S


@dataclass(frozen=True)
class ObjectStoreArgs(Generic[S]):
    settings: S


@dataclass(frozen=True)
class JobQueueArgs(Generic[S]):
    settings: S


@dataclass(frozen=True)
class ApiKeysArgs(Generic[S]):
    settings: S


@dataclass(frozen=True)
class ServerImageArgs(Generic[S]):
    settings: S


@dataclass(frozen=True)
class GpuFleetArgs(Generic[S]):
    settings: S
    network: Network | None
    store: ObjectStore
    queue: JobQueue
    keys: ApiKeys
    image: ServerImage


@dataclass(frozen=True)
class LoadBalancerArgs(Generic[S]):
    settings: S
    network: Network | None
    fleet: GpuFleet


@dataclass(frozen=True)
class MonitoringArgs(Generic[S]):
    settings: S
    queue: JobQueue
    fleet: GpuFleet
    load_balancer: LoadBalancer


@dataclass(frozen=True)
class Parts:
    """One target. `None` stands for a part that the target has no use for."""

    check: Callable[..., None]
    """`check(settings, stack)` looks at this machine; raises `SettingsError` with all problems."""
    providers: Callable[..., Sequence[pulumi.ProviderResource]]
    """`providers(settings)`: the explicit providers under which every part is made."""
    network: Callable[..., Network] | None
    store: Callable[..., ObjectStore]
    queue: Callable[..., JobQueue]
    keys: Callable[..., ApiKeys]
    image: Callable[..., ServerImage]
    fleet: Callable[..., GpuFleet]
    load_balancer: Callable[..., LoadBalancer]
    monitoring: Callable[..., Monitoring] | None
    survey: Callable[..., StackSettings] | None = None
    """`survey(settings, providers)` asks the account through those providers; returns the settings with what they leave
    open filled in; raises `SettingsError` with all problems. None where there is no account to ask."""
    bill: Callable[..., Bill] | None = None
    """`bill(settings)`: what is paid by the hour. None where nobody sends a bill."""
