"""An image that is built from `inference/` and pushed, on any cloud."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.image_source import INFERENCE, build_tag


def built_image(
    name: str,
    repository: pulumi.Input[str],
    target: str,
    arguments: Mapping[str, str],
    registry: docker.RegistryArgs,
    opts: pulumi.ResourceOptions,
) -> docker.Image:
    """`target` of the Dockerfile in `repository`, a registry's, without a tag: one made of the sources is added.

    So the same sources are never pushed twice, which an immutable tag would refuse, and a tag always means the same.
    """
    return docker.Image(
        name,
        image_name=pulumi.Output.concat(repository, ":", build_tag(target, arguments)),
        build=docker.DockerBuildArgs(
            context=str(INFERENCE),
            dockerfile=str(INFERENCE / "Dockerfile"),
            target=target,
            platform="linux/amd64",
            args=dict(arguments) or None,
        ),
        registry=registry,
        opts=opts,
    )
