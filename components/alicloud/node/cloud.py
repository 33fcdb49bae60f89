"""Calls to Alibaba Cloud with the rights of the instance's role, and what the instance knows of itself."""

import datetime
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid

# Hosts in the order in which they are tried: not every region has one of its own.
HOSTS = {
    "cms": ("metrics.{region}.aliyuncs.com",),
    "cr": ("cr.{region}.aliyuncs.com",),
    "ess": ("ess.{region}.aliyuncs.com", "ess.aliyuncs.com"),
    "kms": ("kms.{region}.aliyuncs.com",),
    "oos": ("oos.{region}.aliyuncs.com",),
}
VERSIONS = {"cms": "2019-01-01", "cr": "2018-12-01", "ess": "2014-08-28", "kms": "2016-01-20", "oos": "2019-06-01"}
# Metadata and services of the cloud are reached as they are; no proxy of the environment may come between.
_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class CloudError(Exception):
    """A call was refused or not answered; the text has the call and the service's code, never an argument."""

    def __init__(self, action, code, *, refused):
        super().__init__(f"{action}: {code}")
        self.code = code
        self.refused = refused
        """False where nobody knows whether the call had an effect."""


def metadata(path):
    """What the instance knows under `path`, None where there is nothing. Raises OSError where nobody answers."""
    root = os.environ.get("METADATA_URL", "http://100.100.100.200/latest")
    ask = urllib.request.Request(  # noqa: S310 - the address is fixed
        f"{root}/api/token", method="PUT", headers={"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
    )
    with _OPEN(ask, timeout=3) as answer:
        token = answer.read().decode()
    ask = urllib.request.Request(  # noqa: S310 - the address is fixed
        f"{root}/meta-data/{path}", headers={"X-aliyun-ecs-metadata-token": token}
    )
    try:
        with _OPEN(ask, timeout=3) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise


def call(service, action, **arguments):
    """The service's answer as a dictionary. Raises CloudError.

    Lists and dictionaries among the arguments are flattened as the RPC style wants it: Name.1.Key.
    """
    region = os.environ["REGION"]
    query = "&".join(
        f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(_flat({"RegionId": region, **arguments}).items())
    )
    problem = CloudError(action, "no host", refused=True)
    for host in HOSTS[service]:
        url = os.environ.get("API_URL") or f"https://{host.format(region=region)}"
        try:
            return _ask(url, action, VERSIONS[service], query)
        except urllib.error.HTTPError as error:
            with error:
                raise CloudError(action, _code_of(error), refused=error.code < 500) from None
        except (OSError, ValueError) as error:
            problem = CloudError(action, type(error).__name__, refused=False)
    raise problem


def signed_headers(method, host, query, action, version, credentials, at, nonce):
    """The headers of a signed call without a body, `Authorization` among them.

    https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": empty,
        "x-acs-date": at,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    if credentials.get("SecurityToken"):
        headers["x-acs-security-token"] = credentials["SecurityToken"]
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, "/", query, lines, names, empty])
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(credentials["AccessKeySecret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={credentials['AccessKeyId']},SignedHeaders={names},Signature={signature}"
    )
    return headers


def _ask(url, action, version, query):
    host = urllib.parse.urlsplit(url).netloc
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = signed_headers("POST", host, query, action, version, _credentials(), now, uuid.uuid4().hex)
    ask = urllib.request.Request(f"{url}/?{query}", method="POST", headers=headers)  # noqa: S310 - https above
    with _OPEN(ask, timeout=10) as answer:
        return json.load(answer)


def _credentials():
    """The role's, which the instance renews by itself."""
    role = (metadata("ram/security-credentials/") or "").strip()
    found = json.loads(metadata(f"ram/security-credentials/{role}") or "{}") if role else {}
    if found.get("Code") != "Success":
        raise ValueError("the instance has no role")
    return found


def _code_of(error):
    try:
        code = str(json.loads(error.read()).get("Code", error.code))
    except (ValueError, AttributeError, OSError):
        code = str(error.code)
    return code if code.isprintable() else str(error.code)


def _flat(value, name=""):
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = ((str(place), one) for place, one in enumerate(value, 1))
    else:
        return {name: str(value).lower() if isinstance(value, bool) else str(value)}
    flat = {}
    for key, one in pairs:
        flat.update(_flat(one, f"{name}.{key}" if name else key))
    return flat


def _quoted(text):
    return urllib.parse.quote(text, safe="-_.~")
