"""`oss://BUCKET?region=R[&internal=true]`: Alibaba Cloud OSS, by its S3-compatible protocol.

Two things go by OSS's own protocol instead, because the compatible one cannot do them: to write an object only if there
is none (`If-None-Match` is answered 501), and to sign URLs for the bucket's public address while the server itself uses
the internal one. https://www.alibabacloud.com/help/en/oss/developer-reference/compatibility-with-amazon-s3
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import httpx
from obstore.store import S3Store as ObstoreS3

from speech_server.storage.alibaba_credentials import AlibabaCredentials, CredentialsError
from speech_server.storage.disposition import attachment
from speech_server.storage.oss_signature import OssObject, signed_headers, signed_query
from speech_server.storage.store import CLIENT_OPTIONS, RETRIES, ExistsError, Store, StoreError

if TYPE_CHECKING:
    from obstore.store import S3Credential

_TRIES = 4
_FIRST_WAIT_SECONDS = 0.2
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")


class OssStore(Store):
    """`endpoint` is the bucket's own address, a custom domain say, for everything that the server does itself;
    `public` the one in URLs for others: an account newer than 2025-03 must bind a domain of its own to a bucket in
    mainland China (https://www.alibabacloud.com/help/en/oss/developer-reference/use-amazon-s3-sdks-to-access-oss).

    The bucket must not have versioning, neither enabled nor suspended: OSS then ignores `x-oss-forbid-overwrite`.
    """

    def __init__(
        self,
        bucket: str,
        region: str,
        internal: bool,
        endpoint: str | None,
        public: str | None,
        credentials: AlibabaCredentials | None = None,
    ) -> None:
        self._bucket = bucket
        self._region = region
        self._access = credentials or AlibabaCredentials()
        zone = f"oss-{region}{'-internal' if internal else ''}.aliyuncs.com"
        self._address = (endpoint or f"https://{bucket}.{zone}").rstrip("/")
        self._public = (public or endpoint or f"https://{bucket}.oss-{region}.aliyuncs.com").rstrip("/")
        self._http = httpx.Client(timeout=httpx.Timeout(20.0, connect=3.0))
        compatible = (endpoint or f"https://{bucket}.s3.{zone}").rstrip("/")
        objects = ObstoreS3(
            bucket,
            region=region,
            endpoint=compatible,
            virtual_hosted_style_request=True,
            disable_bulk_delete=True,
            client_options={**CLIENT_OPTIONS, "allow_http": compatible.startswith("http://")},
            retry_config=RETRIES,
            credential_provider=self._credentials,
        )
        super().__init__(objects)

    def close(self) -> None:
        super().close()
        self._http.close()

    def _create(self, key: str, data: bytes, media_type: str) -> None:
        headers = {
            "content-type": media_type,
            "content-md5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            "x-oss-forbid-overwrite": "true",
        }
        reason = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
            try:
                response = self._put(key, data, headers)
            except (httpx.TransportError, CredentialsError) as error:
                reason = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == 200:
                self._check_not_versioned(response)
                return
            found = _CODE.search(response.text)
            reason = f"{response.status_code} {found[1] if found else 'without a code'}"
            if found is not None and found[1] == "FileAlreadyExists":
                raise ExistsError(key)
            if response.status_code == 403:
                raise PermissionError(reason)
            if response.status_code < 500:
                break
        raise StoreError(f"the store failed to create {key}: {reason[:300]}")

    def _put(self, key: str, data: bytes, headers: dict[str, str]) -> httpx.Response:
        target = OssObject(self._region, self._bucket, key)
        signed = signed_headers("PUT", target, headers, self._access.current(), datetime.now(timezone.utc))
        return self._http.put(self._address + target.path, content=data, headers=signed)

    def _check_not_versioned(self, response: httpx.Response) -> None:
        if "x-oss-version-id" in response.headers:
            raise StoreError(
                f"bucket {self._bucket} has versioning, with which OSS overwrites what must be written only once: "
                f"give the service a bucket that never had versioning"
            )

    def _sign(self, key: str, seconds: int, file_name: str | None) -> str:
        target = OssObject(self._region, self._bucket, key)
        query = {} if file_name is None else {"response-content-disposition": attachment(file_name)}
        try:
            access = self._access.current()
        except CredentialsError as error:
            raise StoreError(f"no URL can be signed: {error}") from None
        signed = signed_query("GET", target, query, seconds, access, datetime.now(timezone.utc))
        return f"{self._public}{target.path}?{signed}"

    def _credentials(self) -> S3Credential:
        access = self._access.current()
        return {
            "access_key_id": access.id,
            "secret_access_key": access.secret,
            "token": access.token,
            "expires_at": access.expires,
        }
