"""Asking the server of this machine to go out of service, or how far it is: the other end of `control.py`'s socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A server says something each second while it drains.
_SILENCE_SECONDS = 30.0


class ControlError(Exception):
    """The server cannot be asked, or refuses; the message says why and what to do."""


def ask(path: Path, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the server says, one object a line, until it hangs up. Raises ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SILENCE_SECONDS)
        try:
            connection.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # who is refused is told so before anything is asked
                connection.sendall(json.dumps(order).encode() + b"\n")
            yield from _answers(connection)
        except FileNotFoundError:
            raise ControlError(
                f"no server listens at {path}: give the server's folder with --work-dir, or start the server"
            ) from None
        except PermissionError:
            raise ControlError(f"{path} is not yours: be root, or the server's own user") from None
        except ConnectionResetError:
            return  # it ended while it had something to say
        except ConnectionRefusedError:
            raise ControlError(f"nobody listens at {path} any more: that server was killed") from None
        except TimeoutError:
            raise ControlError(f"the server at {path} said nothing for {_SILENCE_SECONDS:g} s") from None
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from None


def _answers(connection: socket.socket) -> Iterator[dict[str, Any]]:
    with connection.makefile("rb") as lines:
        for line in lines:
            answer = json.loads(line)
            if "error" in answer:
                raise ControlError(str(answer["error"]))
            yield answer
