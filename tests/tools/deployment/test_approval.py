from __future__ import annotations

from typing import Any

import pytest

from rules import rule
from tools.deployment import approval
from tools.failure import SetupError
from tools.production import is_production

REVIEWERS = {"type": "required_reviewers", "reviewers": [{"type": "Team"}]}
BRANCHES = {"protected_branches": True, "custom_branch_policies": False}


class TestMissingApproval:
    @pytest.mark.parametrize(
        ("environment", "problem"),
        [
            ({}, "has no required reviewers"),
            ({"protection_rules": [{"type": "wait_timer"}], "deployment_branch_policy": BRANCHES}, "has no required"),
            ({"protection_rules": [{**REVIEWERS, "reviewers": []}], "deployment_branch_policy": BRANCHES}, "has no"),
            ({"protection_rules": [REVIEWERS], "deployment_branch_policy": None}, "from any branch"),
        ],
    )
    def test_an_open_environment(self, environment: dict[str, Any], problem: str) -> None:
        assert problem in (approval.missing_approval(environment) or "")

    def test_a_closed_one(self) -> None:
        assert not approval.missing_approval({"protection_rules": [REVIEWERS], "deployment_branch_policy": BRANCHES})


class TestMain:
    def test_a_stack_for_trying_needs_nobody(self, capsys: pytest.CaptureFixture[str]) -> None:
        approval.main(["dev"])
        assert "no production stack" in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["prod/../../x", "a b", ""])
    def test_what_is_no_stack(self, name: str) -> None:
        with pytest.raises(SetupError, match="give the stack"):
            approval.main([name])

    def test_production_without_a_token_is_not_deployed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_REPOSITORY", "studio/speech")
        monkeypatch.delenv("GITHUB_TOKEN", raising=False)
        with pytest.raises(SetupError, match="GITHUB_TOKEN is missing"):
            approval.main(["prod"])


class TestIsProduction:
    @pytest.mark.parametrize("name", ["prod", "prod-cn", "eu_prod", "Production", "dev", "product", "preprod", "local"])
    def test_as_the_policy_pack_says(self, name: str) -> None:
        assert is_production(name) is rule.is_production(name)
