"""Where images come from on Alibaba Cloud, and how they are built."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator

from components.settings.cloud import matching
from components.settings.model import Given, Model

# https://www.alibabacloud.com/help/en/acr/developer-reference/api-cr-2018-12-01-createnamespace
Namespace = Annotated[
    str,
    matching(
        r"(?=.{2,120}$)[a-z0-9]+([._-][a-z0-9]+)*",
        "is no namespace's name; use 2 to 120 lower-case letters and digits, with . _ or - between them",
    ),
]
# https://www.alibabacloud.com/help/en/acr/developer-reference/api-cr-2018-12-01-createrepository
Repository = Annotated[
    str,
    matching(
        r"(?=.{2,64}$)[a-z0-9]+([._/-][a-z0-9]+)*",
        "is no repository's name; use 2 to 64 lower-case letters and digits, with . _ - or / between them",
    ),
]
Host = Annotated[
    str,
    matching(
        r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}(:[0-9]{1,5})?",
        "is no registry's host; write it without https:// and without a path, as the registry's console shows it",
    ),
]
InstanceId = Annotated[
    str, matching(r"cri-[a-z0-9]{10,24}", "is no Enterprise instance's id; it looks like cri-0123456789abcdef")
]


class RegistrySettings(Model):
    """An existing registry; the program never orders one.

    `enterprise`: an instance of Container Registry, to which nodes log in with tokens of an hour that their role gets.
    `personal`: any other registry that wants `user` and the stack's secret `registryPassword`, which nodes read too.
    None: no log-in, or a ready image that everybody may pull.

    `host` is where the image is pushed from where the program runs; `node_host` where nodes pull it, None: `host`.
    """

    kind: Given[Literal["enterprise", "personal"]]
    instance_id: Given[InstanceId]
    host: Given[Host]
    node_host: Given[Host]
    namespace: Given[Namespace]
    repository: Given[Repository]
    user: Given[str]

    @field_validator("instance_id")
    @classmethod
    def _enterprise_has_an_instance(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "kind" not in info.data:
            return value
        if info.data["kind"] == "enterprise" and value is None:
            raise ValueError(
                "is missing: kind enterprise needs the id of an existing instance, like cri-0123456789abcdef; the "
                "program orders none, for it is a subscription"
            )
        if info.data["kind"] != "enterprise" and value is not None:
            raise ValueError("is of no use without registry.kind enterprise; set that, or remove the id")
        return value

    @field_validator("host")
    @classmethod
    def _a_registry_has_a_host(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") is not None and value is None:
            raise ValueError("is missing; give the registry's host as its console shows it")
        return value

    @field_validator("host", "node_host", "user")
    @classmethod
    def _belongs_to_a_registry(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "kind" in info.data and info.data["kind"] is None:
            raise ValueError("is of no use without registry.kind; set enterprise or personal")
        return value

    @field_validator("user")
    @classmethod
    def _personal_has_a_user(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "personal" and value is None:
            raise ValueError("is missing: kind personal needs a user and the stack's secret registryPassword")
        if value is not None and not (value.isprintable() and value.isascii() and ":" not in value):
            raise ValueError("is no registry's user: only ASCII characters that can be printed, and no colon")
        return value


class BuildSettings(Model):
    """From where the image's build takes what it needs; None stands for what inference/Dockerfile names itself.

    `base_image`: a Python image. `pip_index`: the address of a package index. `debian_mirror`: of Debian's packages.
    """

    base_image: Given[Annotated[str, matching(r"[a-z0-9][a-zA-Z0-9._:/@-]{0,400}", "is no image's name")]]
    pip_index: Given[
        Annotated[
            str,
            matching(
                r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._/-]*",
                "is no index; write it like https://HOST/simple/, without user and password",
            ),
        ]
    ]
    debian_mirror: Given[
        Annotated[
            str,
            matching(
                r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*",
                "is no mirror; write it like https://HOST, without a / at its end, and without user and password",
            ),
        ]
    ]
