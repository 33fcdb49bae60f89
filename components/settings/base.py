"""What every target's settings have in common."""

from __future__ import annotations

from typing import ClassVar

import pulumi
from pydantic import Field, ValidationInfo, field_validator

from components.settings.clients import ClientKeys, ClientName, ClientSettings, Keys, shared_keys
from components.settings.engine import EngineSettings
from components.settings.model import Model


class SettingsError(pulumi.RunError):
    """The stack's settings cannot be used; the text lists every problem with its key, value and remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the stack's settings cannot be used:", *(f"  - {text}" for text in problems)]))
        self.problems = problems


class StorageSettings(Model):
    """What happens to stored objects. Results, and the records of the jobs that made them, are kept `result_days`."""

    force_destroy: bool
    result_days: int = Field(ge=1, le=3650)


class StackSettings(Model):
    """The settings of a stack of any target."""

    target: str
    engine: EngineSettings
    api_keys: dict[ClientName, ClientKeys]
    clients: dict[ClientName, ClientSettings]
    storage: StorageSettings
    checks: bool

    @field_validator("api_keys")
    @classmethod
    def _clients_have_keys_of_their_own(cls, keys: dict[str, Keys]) -> dict[str, Keys]:
        shared = shared_keys(keys)
        if shared:
            raise ValueError(f"{'; '.join(shared)} have the same key; give each client one of its own")
        return keys

    @field_validator("clients")
    @classmethod
    def _clients_have_keys(cls, clients: dict[str, ClientSettings], info: ValidationInfo) -> dict[str, ClientSettings]:
        if "api_keys" not in info.data:
            return clients  # what is wrong there is told there
        keyless = sorted(clients.keys() - info.data["api_keys"].keys() - set(cls.own_clients))
        if keyless:
            raise ValueError(f"{', '.join(keyless)} has no key; set it in indextts2:apiKeys, or remove it here")
        return clients

    own_clients: ClassVar[tuple[str, ...]] = ()
    """Clients whose keys the target makes itself."""

    @property
    def place(self) -> str | None:
        """The cloud's region that everything is in; None on a machine of one's own."""
        return None
