"""Clients of AWS, with the credentials of the environment, the container or the instance's role."""

from __future__ import annotations

import threading
from typing import Any

import boto3
import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import NoCredentialsError

# By default boto3 gives an instance's metadata service one second and one try, which a node that boots may exceed.
_METADATA_SECONDS = 2
_METADATA_TRIES = 3


def aws_session(region: str) -> boto3.Session:
    core = botocore.session.get_session()
    core.set_config_variable("metadata_service_timeout", _METADATA_SECONDS)
    core.set_config_variable("metadata_service_num_attempts", _METADATA_TRIES)
    return boto3.Session(region_name=region, botocore_session=core)


class AwsClient:
    """The client of one service, for any number of threads.

    boto3 looks for credentials as a client is made, and one that found none never has any. A server that starts before
    its role's credentials are there must not stay without them: it gets a new client at its next call.
    """

    def __init__(self, service: str, region: str, endpoint: str | None, config: Config) -> None:
        self._made_of = service, region, endpoint, config
        self._client = self._make()
        self._making = threading.Lock()

    @property
    def meta(self) -> Any:
        """boto3's `ClientMeta`: the endpoint's URL, the partition."""
        return self._client.meta

    def call(self, operation: str, **arguments: object) -> Any:
        """Blocks. Raises what boto3 raises."""
        client = self._client
        try:
            return getattr(client, operation)(**arguments)
        except NoCredentialsError:
            return getattr(self._remade(client), operation)(**arguments)

    def close(self) -> None:
        self._client.close()

    def _remade(self, useless: BaseClient) -> BaseClient:
        with self._making:
            if self._client is useless:
                self._client = self._make()
                useless.close()
            return self._client

    def _make(self) -> BaseClient:
        service, region, endpoint, config = self._made_of
        return aws_session(region).client(service, endpoint_url=endpoint, config=config)
