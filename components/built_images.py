"""The images that are built from `inference/` and pushed, on any cloud."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_docker as docker

from components.image_source import INFERENCE, TARGETS, WEIGHTS_TARGETS, build_tag


def built_images(
    name: str,
    engine: str,
    repository: pulumi.Input[str],
    arguments: Mapping[str, str],
    registry: docker.RegistryArgs,
    opts: pulumi.ResourceOptions,
) -> tuple[pulumi.Output[str], pulumi.Output[str] | None]:
    """By their digests, so that a node started tomorrow runs what a node started today does: the server's image for
    `engine`, and for an engine with weights a small one that brings them, which need not wait for the large one then.
    """

    def built(label: str, target: str) -> pulumi.Output[str]:
        return _built_image(f"{name}-{label}", repository, target, arguments, registry, opts).repo_digest

    weights = WEIGHTS_TARGETS.get(engine)
    return built("image", TARGETS[engine]), None if weights is None else built("weights-image", weights)


def _built_image(
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
