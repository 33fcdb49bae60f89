"""Which kind of store a URL names."""

from __future__ import annotations

from pathlib import Path

from speech_server.storage.file import FileStore
from speech_server.storage.store import Store
from speech_server.storage.store_url import parse_store_url


def open_store(url: str, public_url: str | None) -> Store:
    """The store at `file:///DIR`, `s3://BUCKET?region=R` or `oss://BUCKET?region=R`; nothing is asked of it yet.

    `public_url` is the service's own address, for the presigned URLs of a `file:` store. To be called inside the event
    loop. Raises ValueError for the URL, OSError for a folder that cannot be used.
    """
    parsed = parse_store_url(url)
    parameters = parsed.parameters
    endpoint = parameters.get("endpoint")
    if parsed.scheme == "file":
        return FileStore(Path(parsed.place), public_url)
    if parsed.scheme == "s3":
        from speech_server.storage.s3 import S3Store  # noqa: PLC0415 - boto3 is only where the store is S3

        return S3Store(parsed.place, parameters["region"], endpoint)
    from speech_server.storage.oss import OssStore  # noqa: PLC0415 - as above: no other cloud's code is loaded

    internal = parameters.get("internal") == "true"
    return OssStore(parsed.place, parameters["region"], internal, endpoint, parameters.get("public"))
