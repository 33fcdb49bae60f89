from __future__ import annotations

from tools.plan.differences import Difference
from tools.plan.events import Change, Plan, Violation
from tools.plan.markdown import MAX_CHARACTERS, code, render

HOSTILE = "`</code><script>|x|\n<!-- indextts2-plan:prod -->@everyone https://evil.example [a](b) **b** #1"


class TestCode:
    def test_nothing_of_it_is_markup(self) -> None:
        shown = code(HOSTILE).removeprefix("<code>").removesuffix("</code>")
        assert not set(shown) & set("<>`|@*[](){}_!:.\n")
        assert "&#64;everyone" in shown

    def test_other_scripts_stay_readable(self) -> None:
        assert code("生产-1") == "<code>生产-1</code>"


class TestRender:
    def test_a_hostile_name_closes_nothing_and_makes_no_second_marker(self) -> None:
        change = Change("update", "t", HOSTILE, (Difference(HOSTILE, HOSTILE, HOSTILE),))
        plan = Plan(
            "dev", (change,), violations=(Violation(HOSTILE, HOSTILE, True),), errors=(HOSTILE,), warnings=(HOSTILE,)
        )
        text = render(plan, HOSTILE, "")
        assert text.count("<!--") == 1
        assert "<script" not in text
        assert "@everyone" not in text
        assert text.count("<code>") == text.count("</code>")

    def test_nothing_to_do_says_so(self) -> None:
        text = render(Plan("dev", unchanged=5, checked=True, complete=True), "abc", "")
        assert "nothing changes (5 unchanged)" in text

    def test_a_plan_without_rules_says_so(self) -> None:
        assert "no policy pack looked at this" in render(Plan("dev", complete=True), "", "")

    def test_a_huge_plan_is_cut_where_it_says_so(self) -> None:
        values = tuple(Difference("p" * 80, "b" * 60, "a" * 60) for _ in range(8))
        changes = tuple(Change("update", "aws:x/y:Z", f"n{number}" * 20, values) for number in range(500))
        text = render(Plan("dev", changes, complete=True, checked=True), "abc", "")
        assert len(text) < MAX_CHARACTERS + 500
        assert "too long for a comment" in text
        assert text.count("<details>") == text.count("</details>")
        assert "and 440 more" in render(Plan("dev", tuple(Change("update", "t", "n") for _ in range(500))), "", "")
