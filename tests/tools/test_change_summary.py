from __future__ import annotations

from tools.change_summary import nothing_changed


class TestNothingChanged:
    def test_only_unchanged(self) -> None:
        assert nothing_changed(["Resources:", "    14 unchanged", "", "Duration: 1s"])

    def test_colors_do_not_matter(self) -> None:
        assert nothing_changed(["\x1b[1mResources:\x1b[0m", "    14 unchanged\x1b[0m"])

    def test_the_last_block_counts(self) -> None:
        preview = ["Resources:", "    2 unchanged", ""]
        assert not nothing_changed([*preview, "Resources:", "    + 1 created", "    2 unchanged"])
        assert nothing_changed(["Resources:", "    + 1 to create", "", *preview])

    def test_no_summary_is_no_proof(self) -> None:
        assert not nothing_changed([])
        assert not nothing_changed(["Resources:"])
        assert not nothing_changed(["error: 14 unchanged"])
