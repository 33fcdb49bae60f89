"""The API keys on Alibaba Cloud."""

from __future__ import annotations

from typing import Literal

import pulumi
from pulumi_alicloud import kms, oos

from components import contracts
from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.contracts import ApiKeysArgs
from components.keys_file import keys_text, version
from components.settings import AlicloudSettings

# The longest that KMS keeps a deleted secret; its name is taken for so long. And the shortest that it keeps a key.
RECOVERY_DAYS = 30
KEY_PENDING_DAYS = 7


class ApiKeys(contracts.ApiKeys):
    """The keys file of the server, where the nodes' role alone reads it:

    - As an encrypted parameter of CloudOps Orchestration Service (OOS), which needs nothing bought before; or
    - in a KMS instance that the stack names: a key of the stack's own, and the secret that it encrypts.

    The provider takes the value as a property that it reads back, so that it stands in the stack's state: as a secret,
    encrypted by the stack's own secrets provider like in its file. A changed key is a new version of the same parameter
    or secret, which nodes fetch by themselves.
    """

    kind: Literal["parameter", "kms"]
    key_arn: pulumi.Output[str] | None
    """The key that a node must be able to use to read a KMS secret."""

    def __init__(self, name: str, args: ApiKeysArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:ApiKeys", name, {}, opts)
        settings = args.settings
        self.kind = settings.secrets.kind
        self.generated = None
        text = keys_text(settings)
        if self.kind == "parameter":
            self.reference = hidden_parameter(
                f"{name}-api-keys",
                settings,
                text,
                "API keys of the speech service: client name to key",
                pulumi.ResourceOptions(parent=self, protect=settings.protect),
            )
            self.key_arn = None
        else:
            self._in_kms(name, settings, text)
        self.register_outputs({"reference": self.reference})

    def _in_kms(self, name: str, settings: AlicloudSettings, text: str) -> None:
        tags = all_tags(settings, pulumi.get_stack())
        kept = pulumi.ResourceOptions(parent=self, protect=settings.protect)
        key = kms.Key(
            f"{name}-api-keys",
            description="Encrypts the API keys of the speech service",
            dkms_instance_id=settings.secrets.kms_instance,
            key_spec="Aliyun_AES_256",
            key_usage="ENCRYPT/DECRYPT",
            pending_window_in_days=KEY_PENDING_DAYS,
            tags=tags,
            opts=kept,
        )
        secret = kms.Secret(
            f"{name}-api-keys",
            secret_name=resource_name(settings, pulumi.get_stack(), "api-keys"),
            description="API keys of the speech service: client name to key",
            dkms_instance_id=settings.secrets.kms_instance,
            encryption_key_id=key.id,
            secret_data=pulumi.Output.secret(text),
            # Encrypted too: to whoever reads the state, a digest would say whether a guessed key is right.
            version_id=pulumi.Output.secret(f"v{version(text)}"),
            recovery_window_in_days=RECOVERY_DAYS if settings.protect else None,
            force_delete_without_recovery=not settings.protect,
            tags=tags,
            # Another instance is another secret of the same name.
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protect, delete_before_replace=True),
        )
        self.reference = secret.secret_name
        self.key_arn = key.arn


def hidden_parameter(
    name: str, settings: AlicloudSettings, text: str, description: str, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The name of an encrypted parameter that holds `text`, at most 4096 characters."""
    made = oos.SecretParameter(
        name,
        secret_parameter_name=resource_name(settings, pulumi.get_stack(), name.partition("-")[2]),
        description=description,
        type="Secret",
        value=pulumi.Output.secret(text),
        tags=all_tags(settings, pulumi.get_stack()),
        # The provider reads back the key that OOS chose, and would make the parameter anew because none is asked for.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["key_id", "dkms_instance_id"])),
    )
    return made.secret_parameter_name
