"""`make down` and `make clean` as programs, in a checkout of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tools.checkout import Checkout
from tools.checkpoint import state_file


def _tool(checkout: Checkout, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout.root / "tools" / "python", "-m", f"tools.{name}", *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def _state(checkout: Checkout, **latest: object) -> None:
    file = state_file(checkout, "local")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))


class TestDown:
    def test_nothing_to_do_where_set_up_never_ran(self, tools_checkout: Checkout) -> None:
        down = _tool(tools_checkout, "down", "local")
        assert (down.returncode, down.stdout) == (0, "nothing to do: the stack local is not up\n")
        assert not tools_checkout.venv.exists()
        assert not tools_checkout.local.exists()

    def test_nothing_to_do_after_it_was_done(self, tools_checkout: Checkout) -> None:
        _state(tools_checkout)
        assert _tool(tools_checkout, "down", "local").stdout == "nothing to do: the stack local is not up\n"


class TestClean:
    def test_refuses_while_a_stack_is_up(self, tools_checkout: Checkout) -> None:
        _state(tools_checkout, resources=[{"urn": "a"}])
        clean = _tool(tools_checkout, "clean")
        assert clean.returncode == 1
        assert "still up: local; first make down STACK=local" in clean.stderr
        assert "Traceback" not in clean.stderr
        assert state_file(tools_checkout, "local").exists()

    @pytest.mark.parametrize("secret", [False, True], ids=["plain", "with secrets"])
    def test_removes_what_set_up_made_and_keeps_data(self, tools_checkout: Checkout, secret: bool) -> None:
        _state(tools_checkout)
        tools_checkout.passphrase.write_text("x")
        (tools_checkout.local / "data").mkdir()
        tools_checkout.venv.mkdir()
        settings = "config:\n  indextts2:target: local\n" + "  indextts2:apiKeys:\n    secure: v1:a:b\n" * secret
        salted = settings + "encryptionsalt: v1:a:b\n"
        tools_checkout.stack_file("local").write_text(salted)
        assert _tool(tools_checkout, "clean").returncode == 0
        assert not tools_checkout.venv.exists()
        assert not tools_checkout.state.exists()
        assert (tools_checkout.local / "data").exists()
        # Secrets in the settings stay readable: then the passphrase and its salt stay too.
        assert tools_checkout.passphrase.exists() is secret
        assert tools_checkout.stack_file("local").read_text() == (salted if secret else settings)
