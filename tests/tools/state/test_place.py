from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.state.__main__ import main
from tools.state.plan import StatePlan
from tools.state.record import Place, place_of, write_place


class TestCommand:
    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
        found = Checkout(tmp_path)
        monkeypatch.setattr("tools.state.__main__.here", lambda: found)
        return found

    @pytest.mark.parametrize(
        ("target", "arguments", "problem"),
        [
            ("local", [], "runs on this machine alone"),
            ("alicloud", [], "in no way that was tested"),
            ("aws", [], "has no indextts2:region"),
            ("aws", ["--backend", "s3://x"], "belong together"),
        ],
    )
    def test_what_cannot_be_says_what_to_do(
        self, checkout: Checkout, target: str, arguments: list[str], problem: str
    ) -> None:
        (checkout.root / "Pulumi.prod.yaml").write_text(f"config:\n  indextts2:target: {target}\n")
        with pytest.raises(SetupError, match=problem):
            main(["prod", *arguments])


class TestRecord:
    def test_one_stack_does_not_touch_another(self, tmp_path: Path) -> None:
        one, other = Place("s3://one", "awskms://one"), Place("s3://other", "awskms://other")
        write_place(tmp_path, "prod", one)
        write_place(tmp_path, "organization/indextts2/dev", other)
        assert (place_of(tmp_path, "prod"), place_of(tmp_path, "dev")) == (one, other)
        assert place_of(tmp_path, "nobody") is None

    @pytest.mark.parametrize("text", ["{", "[]", '{"prod": {}}', '{"prod": {"backend": "", "secretsProvider": "x"}}'])
    def test_a_torn_file_is_no_empty_one(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "state.json").write_text(text)
        with pytest.raises(SetupError):
            place_of(tmp_path, "prod")


class TestStatePlan:
    def test_addresses(self) -> None:
        plan = StatePlan("123456789012", "eu-west-1", "prod")
        assert plan.place == Place(
            "s3://indextts2-state-123456789012-eu-west-1?region=eu-west-1",
            "awskms://alias/indextts2-prod?region=eu-west-1&awssdk=v2",
        )

    @pytest.mark.parametrize(("region", "arn"), [("cn-north-1", "arn:aws-cn:s3"), ("us-gov-west-1", "arn:aws-us-gov")])
    def test_aws_in_china_and_of_the_government(self, region: str, arn: str) -> None:
        plan = replace(StatePlan("123456789012", "eu-west-1", "prod"), region=region)
        assert json.dumps(plan.bucket_policy).count(arn) == 4
