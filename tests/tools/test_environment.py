"""The environment of a stack, and tools/activate in the shells that this machine has."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from tests.tools.conftest import Script
from tools.checkout import Checkout
from tools.environment import applied, changes

SHELLS = [shell for shell in ("bash", "zsh", "dash") if shutil.which(shell)]
# What differs between any two shells.
_OF_THE_SHELL = {"_", "SHLVL", "PWD", "OLDPWD"}


class TestChanges:
    def test_a_stack_on_this_machine_is_kept_from_the_users_login(self, checkout: Checkout) -> None:
        users = {
            "PATH": "/usr/bin",
            "HOME": "/home/ann",
            "PULUMI_ACCESS_TOKEN": "pul-secret",
            "PULUMI_BACKEND_URL": "s3://theirs",
            "PULUMI_HOME": "/home/ann/.pulumi",
            "PULUMI_CONFIG_PASSPHRASE": "theirs",
            "PULUMI_CREDENTIALS_PATH": "/home/ann/credentials",
        }
        result = applied(changes(checkout, "local", "local", Path("/cli"), users), users)
        assert "PULUMI_ACCESS_TOKEN" not in result
        assert "PULUMI_CONFIG_PASSPHRASE" not in result
        assert "PULUMI_CREDENTIALS_PATH" not in result
        assert result["PULUMI_HOME"] == str(checkout.pulumi_home)
        assert result["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(checkout.passphrase)
        assert result["HOME"] == "/home/ann"
        assert unquote(urlparse(result["PULUMI_BACKEND_URL"]).path) == str(checkout.state)
        assert " " not in result["PULUMI_BACKEND_URL"]

    def test_a_cloud_stack_keeps_it(self, checkout: Checkout) -> None:
        users = {"PATH": "/usr/bin", "PULUMI_ACCESS_TOKEN": "pul-secret", "PULUMI_BACKEND_URL": "s3://theirs"}
        result = applied(changes(checkout, "prod", "aws", Path("/cli"), users), users)
        assert result["PULUMI_ACCESS_TOKEN"] == "pul-secret"
        assert result["PULUMI_BACKEND_URL"] == "s3://theirs"
        assert "PULUMI_HOME" not in result

    def test_the_environment_of_python_comes_first_and_once(self, checkout: Checkout) -> None:
        venv = str(checkout.venv / "bin")
        first = changes(checkout, "local", "local", Path("/cli"), {"PATH": f"/usr/bin:{venv}:/cli:/bin"})["PATH"]
        assert first == f"{venv}:/cli:/usr/bin:/bin"
        assert changes(checkout, "local", "local", Path("/cli"), {"PATH": first})["PATH"] == first


@pytest.fixture
def set_up(tools_checkout: Checkout, script: Script) -> Checkout:
    """A checkout as set-up leaves it, as far as activate looks."""
    script(tools_checkout.root / "cli dir" / "pulumi", "echo pulumi of the checkout")
    script(tools_checkout.venv / "bin" / "python", f'exec {shlex.quote(sys.executable)} "$@"')
    script(tools_checkout.venv / "bin" / "indextts2", "echo indextts2 of the checkout")
    tools_checkout.local.mkdir()
    tools_checkout.pulumi_bin_record.write_text(f"{tools_checkout.root / 'cli dir'}\n")
    tools_checkout.stack_file("prod").write_text("config:\n  indextts2:target: aws\n")
    return tools_checkout


def _shell(shell: str, code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    return subprocess.run(
        [shell, "-c", code], cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False
    )


def _environment(shown: str) -> dict[str, str]:
    pairs = dict(entry.split("=", 1) for entry in shown.split("\0") if entry)
    return {name: value for name, value in pairs.items() if name not in _OF_THE_SHELL}


@pytest.mark.parametrize("shell", SHELLS)
class TestActivate:
    def test_puts_both_commands_on_path_and_says_one_line(self, shell: str, set_up: Checkout) -> None:
        shown = _shell(shell, "set -eu; . tools/activate; pulumi; indextts2", set_up.root)
        assert shown.stderr == ""
        lines = shown.stdout.splitlines()
        assert lines[0].startswith("pulumi and indextts2 are on PATH for the stack local")
        assert lines[1:] == ["pulumi of the checkout", "indextts2 of the checkout"]

    def test_the_environment_is_that_of_the_tools(self, shell: str, set_up: Checkout) -> None:
        shown = _shell(shell, ". tools/activate >/dev/null; env -0", set_up.root, PULUMI_ACCESS_TOKEN="pul-x")
        result = _environment(shown.stdout)
        before = {"PATH": os.environ["PATH"]}
        for name, value in changes(set_up, "local", "local", set_up.root / "cli dir", before).items():
            assert result.get(name) == value, name

    def test_deactivate_restores_everything_also_after_two_activations(self, shell: str, set_up: Checkout) -> None:
        users = {"PULUMI_ACCESS_TOKEN": "it's a 'token'\n$(id)", "PULUMI_BACKEND_URL": "s3://theirs"}
        code = ". tools/activate >/dev/null; . tools/activate >/dev/null; indextts2_deactivate; env -0"
        shown = _shell(shell, code, set_up.root, **users)
        assert shown.stderr == ""
        assert _environment(shown.stdout) == _environment(_shell(shell, "env -0", set_up.root, **users).stdout)
        gone = _shell(shell, ". tools/activate >/dev/null; indextts2_deactivate; indextts2_deactivate", set_up.root)
        assert gone.returncode == 127

    def test_leaves_no_variable_of_its_own(self, shell: str, set_up: Checkout) -> None:
        shown = _shell(shell, ". tools/activate >/dev/null; set", set_up.root)
        names = {line.split("=", 1)[0] for line in shown.stdout.splitlines()}
        assert {"indextts2_root", "indextts2_file", "indextts2_code", "indextts2_status"} & names == set()

    def test_without_set_up_it_says_what_to_run(self, shell: str, tools_checkout: Checkout) -> None:
        shown = _shell(shell, ". tools/activate; echo status $?; echo $PATH", tools_checkout.root)
        assert "run `make setup` or `make up` in" in shown.stderr
        assert shown.stdout.splitlines() == ["status 1", os.environ["PATH"]]

    def test_a_cli_that_went_away_is_not_put_on_path(self, shell: str, set_up: Checkout) -> None:
        (set_up.root / "cli dir" / "pulumi").unlink()
        shown = _shell(shell, ". tools/activate; echo status $?", set_up.root)
        assert "this checkout is not set up yet" in shown.stderr
        assert shown.stdout == "status 1\n"


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "dash"])
class TestActivateFromAnywhere:
    """What a plain sh cannot do: it tells a sourced file neither its name nor its arguments."""

    def test_from_another_directory(self, shell: str, set_up: Checkout, tmp_path: Path) -> None:
        shown = _shell(shell, f"CDPATH=/; . '{set_up.root}/tools/activate'; pulumi; pwd", tmp_path)
        assert shown.stdout.splitlines()[1:] == ["pulumi of the checkout", str(tmp_path)]

    def test_a_cloud_stack(self, shell: str, set_up: Checkout) -> None:
        code = '. tools/activate prod; echo "$PULUMI_STACK ${PULUMI_HOME-none} $PULUMI_BACKEND_URL"'
        shown = _shell(shell, code, set_up.root, PULUMI_BACKEND_URL="s3://theirs")
        assert shown.stdout.splitlines()[-1] == "prod none s3://theirs"

    def test_a_name_that_no_stack_has(self, shell: str, set_up: Checkout) -> None:
        shown = _shell(shell, ". tools/activate '$(touch x)'; echo status $?", set_up.root)
        assert "cannot be the name of a stack" in shown.stderr
        assert shown.stdout == "status 1\n"
        assert not (set_up.root / "x").exists()
