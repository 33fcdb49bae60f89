"""`indextts2 serve`: the server, in the foreground."""

from __future__ import annotations

import argparse
import os
import sys

from speech_server import logs
from speech_server.engines.variables import DECLARED
from speech_server.listener import ListenError
from speech_server.process import run as run_server
from speech_server.settings import PREFIX, Settings, SettingsError, read_settings
from speech_server.tenants.keys_file import KeysError
from speech_server.traces import TracesError

# sysexits.h: a supervisor that sees it need not try again before somebody has mended the settings
EX_CONFIG = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "environment variables:\n" + "\n".join(_setting_lines())


def run(_: argparse.Namespace) -> int:
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"the server's settings are wrong:\n{error}", file=sys.stderr)
        return EX_CONFIG
    log_lines = logs.install(settings.replica)
    try:
        run_server(settings, log_lines)
    except (KeysError, TracesError, ListenError) as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, ListenError) else EX_CONFIG
    except OSError as error:
        print(f"the server cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def _setting_lines() -> list[str]:
    lines = []
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default!r}"
        lines.append(f"  {PREFIX}{name.upper()}  {field.description or ''} ({default})".replace("  (", " ("))
    for engine, declared in DECLARED.items():
        lines.append(f"with SPEECH_ENGINE={engine} also:")
        lines.extend(f"  {name}" for name in declared.names)
    return lines
