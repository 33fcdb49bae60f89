"""Where the service is and with which key: from options, from the environment, or from the stack that deployed it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from speech_server.cli.failure import CommandError

URL_VARIABLE = "INDEXTTS2_URL"
KEY_VARIABLE = "INDEXTTS2_API_KEY"

_PULUMI_SECONDS = 60
_SHOWN_LINES = 5


@dataclass(frozen=True)
class ServiceAddress:
    url: str  # without a slash at the end
    api_key: str

    def __repr__(self) -> str:
        return f"ServiceAddress({self.url})"


def find_service(
    url: str | None, api_key: str | None, stack: str | None, environment: Mapping[str, str], folder: Path
) -> ServiceAddress:
    """The address from the options given, then `environment`, then the outputs of the Pulumi stack.

    A key is never sent to an address that it was not given for: with a URL from an option or a variable, the stack's
    key is not taken. Raises CommandError.
    """
    url = url or environment.get(URL_VARIABLE)
    api_key = api_key or environment.get(KEY_VARIABLE)
    if url is None:
        outputs = _stack_outputs(stack, folder)
        url = _output(outputs, "url")
        api_key = api_key or _output(outputs, "apiKey")
    if api_key is None:
        raise CommandError(f"no API key for {url}: give --api-key-file, or set {KEY_VARIABLE}")
    if not (api_key.isascii() and api_key.isprintable()):
        raise CommandError("the API key has characters that no HTTP header can carry: is it the right one?")
    return ServiceAddress(_checked_url(url), api_key)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(f"{url!r} is no URL of a service: it must be like http://127.0.0.1:8080")
    return url.rstrip("/")


def _stack_outputs(stack: str | None, folder: Path) -> dict[str, object]:
    checkout = _checkout_of(folder)
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise CommandError(
            f"pulumi is not on PATH, so the stack cannot be asked where the service is: run `. tools/activate` in "
            f"{checkout}, or give --url and a key"
        )
    command = [pulumi, "stack", "output", "--json", "--show-secrets", "--non-interactive"]
    if stack is not None:
        command += ["--stack", stack]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, timeout=_PULUMI_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CommandError(f"`pulumi stack output` gave no answer within {_PULUMI_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_SHOWN_LINES:]
        raise CommandError(
            "`pulumi stack output` failed; is there a stack, and is it the one selected? (--stack NAME chooses, "
            "`make up` makes the local one)\n" + "\n".join(said)
        )
    try:
        outputs = json.loads(done.stdout)
    except ValueError:
        raise CommandError("`pulumi stack output --json` printed something that is no JSON") from None
    return outputs if isinstance(outputs, dict) else {}


def _checkout_of(folder: Path) -> Path:
    for place in (folder, *folder.parents, *Path(__file__).resolve().parents):
        if (place / "Pulumi.yaml").is_file():
            return place
    raise CommandError(f"there is no Pulumi.yaml in {folder} or above it: run this in the checkout, or give --url")


def _output(outputs: Mapping[str, object], name: str) -> str:
    value = outputs.get(name)
    if not isinstance(value, str) or not value:
        raise CommandError(f"the stack has no output {name}: is it deployed? (`make up`, or `pulumi up`)")
    return value
