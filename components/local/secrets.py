"""The API keys of this machine."""

from __future__ import annotations

import pulumi

from components import contracts
from components.contracts import ApiKeysArgs
from components.local.machine.layout import Layout
from components.local.resources.keys_file import KeysFile
from components.settings import LOCAL_CLIENT, LocalSettings
from components.settings.clients import ClientSettings, keys_file


class ApiKeys(contracts.ApiKeys):
    """A file of mode 0600 with the stack's keys and one that is generated for the person at this machine."""

    def __init__(self, name: str, args: ApiKeysArgs[LocalSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:local:ApiKeys", name, {}, opts)
        settings = args.settings
        own = settings.clients.get(LOCAL_CLIENT, ClientSettings())
        self.file = KeysFile(
            f"{name}-keys",
            settings.data_dir,
            settings.contained,
            pulumi.Output.secret(keys_file(settings.api_keys, settings.clients)),
            own.model_dump(by_alias=True, exclude_defaults=True),
            pulumi.ResourceOptions(parent=self),
        )
        self.reference = pulumi.Output.from_input(str(Layout.at(settings.data_dir, settings.contained).keys))
        self.generated = pulumi.Output.secret(self.file.generated)
        self.register_outputs({"reference": self.reference, "generated": self.generated})
