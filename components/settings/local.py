"""The settings of `target: local`."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, field_validator

from components.settings.base import StackSettings

MAX_REPLICAS = 64
# The client for whom a key is made when the stack names none of that name.
LOCAL_CLIENT = "local"


class LocalSettings(StackSettings):
    """A service of processes on this machine."""

    own_clients = (LOCAL_CLIENT,)

    target: Literal["local"]
    data_dir: str
    host: str
    port: int = Field(ge=1, le=65535)
    replicas: int = Field(ge=1, le=MAX_REPLICAS)

    @field_validator("data_dir")
    @classmethod
    def _data_dir_is_named(cls, path: str) -> str:
        if not path.strip():
            raise ValueError("it is empty; give a directory, say .local/data/{stack}")
        return path

    @field_validator("host")
    @classmethod
    def _host_is_an_address(cls, host: str) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("not an IP address; use 127.0.0.1, or 0.0.0.0 for every interface") from None
        return host

    @property
    def public(self) -> bool:
        """Whether other machines can reach the service."""
        return not ipaddress.ip_address(self.host).is_loopback
