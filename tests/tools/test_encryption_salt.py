"""In real git repositories, because what git takes for modified is what matters."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.tools.conftest import ROOT
from tools.checkout import Checkout
from tools.encryption_salt import FILTER, drop_salt, has_salt, remove_filter, set_filter, tell_git

SETTINGS = "# a comment\nconfig:\n  indextts2:target: local\n"
SALT = "encryptionsalt: v1:abc=:v1:def:ghi==\n"


@pytest.fixture
def git_settings(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """No one's own configuration, and no repository that a hook may have named."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(checkout: Checkout, git_settings: None) -> Checkout:
    (checkout.root / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    checkout.stack_file("local").write_text(SETTINGS)
    _git(checkout, "init", "-q")
    _git(checkout, "add", "-A")
    _git(checkout, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "-m", "start")
    return checkout


def _git(checkout: Checkout, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=checkout.root, capture_output=True, text=True, check=True).stdout


class TestFilter:
    def test_the_attributes_name_it_for_the_local_stack(self, repository: Checkout) -> None:
        assert _git(repository, "check-attr", "filter", "Pulumi.local.yaml").endswith(f": {FILTER}\n")

    def test_the_salt_leaves_the_checkout_clean(self, repository: Checkout) -> None:
        file = repository.stack_file("local")
        file.write_text(SETTINGS + SALT)
        assert _git(repository, "status", "--porcelain") == " M Pulumi.local.yaml\n"  # what it is all about
        set_filter(repository)
        tell_git(repository, file)
        assert _git(repository, "status", "--porcelain") == ""
        assert file.read_text() == SETTINGS + SALT
        # Nothing was staged, and the line is not committed either.
        assert _git(repository, "diff", "--cached", "--name-only") == ""
        _git(repository, "add", "-A")
        assert _git(repository, "show", ":Pulumi.local.yaml") == SETTINGS

    def test_a_real_change_stays_unstaged(self, repository: Checkout) -> None:
        file = repository.stack_file("local")
        file.write_text(SETTINGS + "  indextts2:port: 9000\n" + SALT)
        set_filter(repository)
        tell_git(repository, file)
        assert _git(repository, "status", "--porcelain") == " M Pulumi.local.yaml\n"
        assert "encryptionsalt" not in _git(repository, "diff")

    def test_setting_and_removing_it(self, repository: Checkout) -> None:
        before = (repository.root / ".git" / "config").read_text()
        set_filter(repository)
        once = (repository.root / ".git" / "config").read_text()
        set_filter(repository)
        assert (repository.root / ".git" / "config").read_text() == once
        assert FILTER in once
        remove_filter(repository)
        assert (repository.root / ".git" / "config").read_text() == before

    def test_another_repository_that_a_hook_names_is_not_touched(
        self, repository: Checkout, tmp_path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "other"
        subprocess.run(["git", "init", "-q", other], check=True)
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        set_filter(repository)
        assert FILTER not in (other / ".git" / "config").read_text()

    def test_an_unpacked_archive_is_left_alone(self, checkout: Checkout, git_settings: None, tmp_path) -> None:
        """Also when a directory above it happens to be a repository."""
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        file = checkout.stack_file("local")
        file.write_text(SETTINGS + SALT)
        set_filter(checkout)
        tell_git(checkout, file)
        assert FILTER not in (tmp_path / ".git" / "config").read_text()
        assert not (checkout.root / ".git").exists()

    def test_without_git_nothing_happens(self, repository: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        set_filter(repository)
        tell_git(repository, repository.stack_file("local"))


class TestDropSalt:
    def test_only_its_line_goes(self, checkout: Checkout) -> None:
        file = checkout.stack_file("local")
        file.write_text(SALT + SETTINGS + "  text: 'encryptionsalt: not this'\n")
        assert has_salt(file)
        drop_salt(file)
        assert file.read_text() == SETTINGS + "  text: 'encryptionsalt: not this'\n"
        assert not has_salt(file)
