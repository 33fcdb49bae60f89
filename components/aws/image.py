"""The server's image on AWS."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_aws import ecr

from components import contracts
from components.built_images import built_images
from components.contracts import ServerImageArgs
from components.settings import AwsSettings

# Enough to go back a few deployments, of up to two images each; the server's is some gigabytes.
KEPT_IMAGES = 20
UNTAGGED_DAYS = 7
_ECR = re.compile(
    r"(?P<host>(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com)/(?P<name>[^@:]+)"
)


class ServerImage(contracts.ServerImage):
    """A ready image, and the one beside it that brings the weights if there is one, or:

    - An ECR repository: a tag never moves, every push is scanned, old images go.
    - The image, built from `inference/` and pushed. Nodes run it by its digest, so that a node started tomorrow runs
      what a node started today does.
    - For an engine with weights a small image that brings them, so that a node need not wait for the large one first.
    """

    repository_arns: list[pulumi.Input[str]]
    """The repositories on ECR that nodes pull from; none of another registry."""
    registry_host: pulumi.Input[str] | None
    """The ECR registry that nodes log in to; None for another registry."""

    def __init__(self, name: str, args: ServerImageArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:ServerImage", name, {}, opts)
        if args.settings.image is None:
            self._build(name, args.settings)
        else:
            self._take(args.settings.image, args.settings.weights.image)
        self.register_outputs({"reference": self.reference})

    def _build(self, name: str, settings: AwsSettings) -> None:
        under = pulumi.ResourceOptions(parent=self)
        repository = ecr.Repository(
            f"{name}-server",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")],
            # Images can be built again; in production the nodes that would pull one must not be left without.
            force_delete=not settings.protect,
            opts=under,
        )
        ecr.LifecyclePolicy(
            f"{name}-server-lifecycle",
            repository=repository.name,
            policy=json.dumps(repository_lifecycle()),
            opts=under,
        )
        token = ecr.get_authorization_token_output(
            registry_id=repository.registry_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        registry = docker.RegistryArgs(
            server=repository.repository_url,
            username=token.user_name,
            password=pulumi.Output.secret(token.password),
        )
        self.reference, self.weights_reference = built_images(
            name, settings.engine.name, repository.repository_url, {}, registry, under
        )
        self.repository_arns = [repository.arn]
        self.registry_host = repository.repository_url.apply(lambda url: url.partition("/")[0])

    def _take(self, image: str, weights_image: str | None) -> None:
        self.reference = pulumi.Output.from_input(image)
        self.weights_reference = weights_image
        self.registry_host, arn = ecr_repository(image)
        _, weights_arn = ecr_repository(weights_image or "")
        self.repository_arns = [one for one in dict.fromkeys((arn, weights_arn)) if one]


def repository_lifecycle() -> dict[str, Any]:
    """Which images ECR deletes. One that a node runs is among the newest, for it was the last deployed."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": f"untagged for {UNTAGGED_DAYS} days",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": UNTAGGED_DAYS,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": f"more than the newest {KEPT_IMAGES}",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
                "action": {"type": "expire"},
            },
        ]
    }


def ecr_repository(image: str) -> tuple[str, str] | tuple[None, None]:
    """The registry's host and the repository's ARN if `image` is on ECR, which asks who pulls; else None twice."""
    found = _ECR.match(image)
    if not found:
        return None, None
    return found["host"], f"arn:aws:ecr:{found['region']}:{found['account']}:repository/{found['name']}"
