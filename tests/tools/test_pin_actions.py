from __future__ import annotations

from pathlib import Path

import pytest

from tools.failure import SetupError
from tools.pin_actions import pinned, unpinned

ONE, OTHER = "1" * 40, "2" * 40
WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / ".github" / "workflows").glob("*.yml"))


class TestPinned:
    def test_a_tag_becomes_its_commit(self) -> None:
        text = "      - uses: actions/cache/save@v5.0.5\n        with:\n"
        assert pinned(text, lambda *asked: ONE if asked == ("actions/cache", "v5.0.5") else "") == (
            f"      - uses: actions/cache/save@{ONE} # v5.0.5\n        with:\n"
        )

    def test_what_is_pinned_stays_if_it_is_true(self) -> None:
        text = f"- uses: actions/checkout@{ONE} # v7.0.1\n"
        assert pinned(text, lambda *_: ONE) == text
        with pytest.raises(SetupError, match="find out which of both is meant"):
            pinned(text, lambda *_: OTHER)

    def test_a_commit_of_no_release_is_asked_about(self) -> None:
        with pytest.raises(SetupError, match="which release"):
            pinned(f"- uses: actions/checkout@{ONE}\n", lambda *_: ONE)


class TestUnpinned:
    def test_tags_branches_and_bare_commits(self) -> None:
        text = f"- uses: a/b@v1\n- uses: a/c@main\n- uses: a/d@{ONE}\n- uses: a/e@{ONE} # v1\n- uses: ./local\n"
        assert unpinned(text) == ["a/b@v1", "a/c@main", f"a/d@{ONE}"]

    @pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
    def test_the_checkouts_own_are_pinned(self, file: Path) -> None:
        assert "uses:" in file.read_text()
        assert unpinned(file.read_text()) == []
