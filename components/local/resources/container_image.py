"""The server's container image on this machine, built or fetched."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.image_source import INFERENCE
from components.local.machine import containers
from components.local.resources.provider import LocalProvider, Props, say, told_plainly


class ContainerImageProvider(LocalProvider):
    delete_before_replace = False
    replaced_by = ("reference",)

    def expected(self, inputs: Props) -> Props:
        return {"made": _made_of(inputs), "present": True}

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        found = make(props)
        return CreateResult(props["reference"], found)

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        present = containers.image_id(props["docker"], props["reference"]) == props["image"]
        return ReadResult(id_, {**props, "present": present})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(make(_news))

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        if _props["target"]:  # what somebody else made is theirs
            containers.remove_image(_props["docker"], _props["reference"])


class ContainerImage(Resource, module="local", name="ContainerImage"):
    """An image under `reference`: that of a registry, or the tag under which `target` of the Dockerfile is built."""

    image: pulumi.Output[str]
    """`sha256:...`: what containers are run from, so that nobody changes it under a tag."""

    def __init__(
        self,
        name: str,
        docker: str,
        reference: str,
        target: str,
        arguments: dict[str, str],
        network: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`target` is empty for a ready image. `arguments`: the build's."""
        props = {
            "docker": docker,
            "reference": reference,
            "target": target,
            "arguments": arguments,
            "network": network,
            "made": None,
            "present": None,
            "image": None,
        }
        super().__init__(ContainerImageProvider(), name, props, opts)


def make(props: Props) -> Props:
    """Build or fetch the image; returns the resource's outputs. Raises `MachineError`."""
    docker, reference = props["docker"], props["reference"]
    if props["target"]:
        say(f"building {reference}: minutes for the first time, seconds when only the code has changed")
        found = containers.build(docker, INFERENCE, props["target"], reference, props["arguments"], props["network"])
    else:
        found = containers.pull(docker, reference)
    return {**props, "made": _made_of(props), "present": True, "image": found}


def _made_of(inputs: Props) -> str:
    return " ".join([inputs["target"], *(f"{name}={value}" for name, value in sorted(inputs["arguments"].items()))])
