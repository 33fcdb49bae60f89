"""The server's image on Alibaba Cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_docker as docker
from pulumi_alicloud import cs

from components import contracts
from components.alicloud.secrets import hidden_parameter
from components.built_images import built_images
from components.contracts import ServerImageArgs
from components.settings import AlicloudSettings
from components.settings.alicloud_registry import BuildSettings


@dataclass(frozen=True)
class Registry:
    """What a node logs in to before it pulls.

    `enterprise`: with a token of an hour that it gets for its role from `instance_id`. `personal`: as `user`, with the
    password in the encrypted parameter `password_reference`.
    """

    kind: Literal["enterprise", "personal"]
    host: str
    instance_id: str | None
    user: str | None
    password_reference: pulumi.Output[str] | None


class ServerImage(contracts.ServerImage):
    """A ready image, or one that is built from `inference/` and pushed to the registry that the stack names; nodes run
    it by its digest, so that a node started tomorrow runs what a node started today does.

    - For a registry with a user and a password, an encrypted parameter with the password, which nodes read.
    - The image. To an Enterprise instance it is pushed with a token of an hour, which is never kept.
    - For an engine with weights a small image that brings them, so that a node need not wait for the large one first.

    No registry is ever ordered: an Enterprise instance is a subscription.
    """

    registry: Registry | None
    """None: everybody may pull."""

    def __init__(self, name: str, args: ServerImageArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:ServerImage", name, {}, opts)
        settings = args.settings
        self.registry = self._log_in(name, settings)
        if settings.image is None:
            self._build(name, settings)
        else:
            self.reference = pulumi.Output.from_input(settings.image)
            self.weights_reference = settings.weights.image
        self.register_outputs({"reference": self.reference})

    def _log_in(self, name: str, settings: AlicloudSettings) -> Registry | None:
        registry = settings.registry
        host = registry.node_host or registry.host
        if registry.kind is None or host is None:
            return None
        if registry.kind == "enterprise":
            return Registry("enterprise", host, registry.instance_id, None, None)
        password = settings.registry_password.get_secret_value() if settings.registry_password else ""
        reference = hidden_parameter(
            f"{name}-registry-password",
            settings,
            password,
            "The password with which nodes pull the speech service's image",
            pulumi.ResourceOptions(parent=self),
        )
        return Registry("personal", host, None, registry.user, reference)

    def _build(self, name: str, settings: AlicloudSettings) -> None:
        registry = settings.registry
        user, password = self._pusher(settings)
        pushed_to = docker.RegistryArgs(server=registry.host, username=user, password=password)
        repository = f"{registry.host}/{registry.namespace}/{registry.repository}"
        under = pulumi.ResourceOptions(parent=self)

        def by_nodes(pushed: pulumi.Output[str]) -> pulumi.Output[str]:
            return pushed.apply(lambda image: pulled_as(image, registry.host, registry.node_host))

        server, weights = built_images(
            name, settings.engine.name, repository, build_arguments(settings.build), pushed_to, under
        )
        self.reference = by_nodes(server)
        self.weights_reference = None if weights is None else by_nodes(weights)

    def _pusher(self, settings: AlicloudSettings) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
        """The user and the password with which the image is pushed."""
        registry = settings.registry
        if registry.user is not None and settings.registry_password is not None:
            return registry.user, pulumi.Output.secret(settings.registry_password.get_secret_value())
        found = cs.get_registry_enterprise_instances_output(
            ids=[registry.instance_id or ""], enable_details=True, opts=pulumi.InvokeOutputOptions(parent=self)
        ).instances[0]
        return found.temp_username, pulumi.Output.secret(found.authorization_token)


def build_arguments(build: BuildSettings) -> dict[str, str]:
    """What inference/Dockerfile takes, as far as the stack gives it."""
    given = {
        "BASE_IMAGE": build.base_image,
        "PIP_INDEX_URL": build.pip_index,
        "DEBIAN_MIRROR": build.debian_mirror,
    }
    return {name: value for name, value in given.items() if value is not None}


def pulled_as(pushed: str, host: str | None, node_host: str | None) -> str:
    """The image `pushed` to `host` under the name by which nodes reach the same registry."""
    if host is None or node_host is None:
        return pushed
    return node_host + pushed.removeprefix(host)
