"""The API keys on AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import secretsmanager

from components import contracts
from components.contracts import ApiKeysArgs
from components.keys_file import keys_text, version
from components.settings import AwsSettings

# The longest that Secrets Manager keeps a deleted secret; its name is taken for so long. 0 deletes at once.
RECOVERY_DAYS = 30


class ApiKeys(contracts.ApiKeys):
    """- A secret that only the nodes' role reads.
    - Its value, the keys file of the server: written, never read back, and in the state only as the stack's own
      encryption leaves it. Its version moves when a key does, because what is never read cannot be compared.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: ApiKeysArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:ApiKeys", name, {}, opts)
        settings = args.settings
        secret = secretsmanager.Secret(
            f"{name}-api-keys",
            description="The speech service's clients: their API keys and limits",
            recovery_window_in_days=RECOVERY_DAYS if settings.protect else 0,
            opts=pulumi.ResourceOptions(parent=self, protect=settings.protect),
        )
        text = keys_text(settings)
        secretsmanager.SecretVersion(
            f"{name}-api-keys-value",
            secret_id=secret.id,
            secret_string_wo=pulumi.Output.secret(text),
            # Encrypted too: to whoever reads the state, a digest would say whether a guessed key is right.
            secret_string_wo_version=pulumi.Output.secret(version(text)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.reference = secret.name
        self.arn = secret.arn
        self.generated = None
        self.register_outputs({"reference": self.reference})
