"""The options that say where the service is and with which key, for commands that have nothing else to do with it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from speech_server.cli.given_file import bytes_of, text_in
from speech_server.cli.service_address import KEY_VARIABLE, URL_VARIABLE, ServiceAddress, find_service

EPILOG = f"""\
where the service is: --url with a key; else {URL_VARIABLE} and {KEY_VARIABLE};
else the outputs of the Pulumi stack of the checkout that you are in.
"""

_MAX_KEY_BYTES = 4096


def add_service_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="of the service, like http://127.0.0.1:8080")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="a file that holds the API key")
    parser.add_argument("--api-key", metavar="KEY", help="the API key; others on this machine can see it in ps")
    parser.add_argument("--stack", metavar="NAME", help="the Pulumi stack to ask; default: the selected one")


def service_of(options: argparse.Namespace) -> ServiceAddress:
    """Raises CommandError."""
    file, key = options.api_key_file, options.api_key
    if file is not None:
        key = text_in(bytes_of(file, _MAX_KEY_BYTES, "key"), str(file)).splitlines()[0].strip()
    return find_service(options.url, key, options.stack, os.environ, Path.cwd())
