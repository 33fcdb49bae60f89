"""`s3://BUCKET?region=R`: Amazon S3, or a server that speaks its protocol at `&endpoint=URL`."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from obstore.store import S3Store as ObstoreS3

from speech_server.aws_client import AwsClient, aws_session
from speech_server.storage.disposition import attachment
from speech_server.storage.store import CLIENT_OPTIONS, RETRIES, Store, StoreError

if TYPE_CHECKING:
    from obstore.store import S3Credential

# boto3 itself asks for a role's next credentials 15 minutes before the old ones end; asked this often, it can.
_CREDENTIAL_SECONDS = 300


class S3Store(Store):
    """Credentials as the AWS SDK finds them: environment, container, or the instance's role by IMDSv2."""

    def __init__(self, bucket: str, region: str, endpoint: str | None) -> None:
        self._session = aws_session(region)
        self._credentials_lock = threading.Lock()
        # The vendor's own signer, and the vendor's own table of endpoints (China has another domain).
        signing = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        self._client = AwsClient("s3", region, endpoint, signing)
        self._bucket = bucket
        address = self._client.meta.endpoint_url
        objects = ObstoreS3(
            bucket,
            region=region,
            endpoint=address,
            virtual_hosted_style_request=False,
            client_options={**CLIENT_OPTIONS, "allow_http": address.startswith("http://")},
            retry_config=RETRIES,
            credential_provider=self._credentials,
        )
        super().__init__(objects)

    def _sign(self, key: str, seconds: int, file_name: str | None) -> str:
        parameters = {"Bucket": self._bucket, "Key": key}
        if file_name is not None:
            parameters["ResponseContentDisposition"] = attachment(file_name)
        try:
            return self._client.call(
                "generate_presigned_url", ClientMethod="get_object", Params=parameters, ExpiresIn=seconds
            )
        except BotoCoreError as error:
            raise StoreError(f"no URL can be signed: {error}") from None

    def _credentials(self) -> S3Credential:
        with self._credentials_lock:
            found = self._session.get_credentials()
        if found is None:
            raise StoreError("no AWS credentials: give the instance a role, or set AWS_ACCESS_KEY_ID and its secret")
        now = found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(timezone.utc) + timedelta(seconds=_CREDENTIAL_SECONDS),
        }
