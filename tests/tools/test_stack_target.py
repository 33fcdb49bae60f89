from __future__ import annotations

import pytest

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.stack_target import stack_target


class TestStackTarget:
    @pytest.mark.parametrize(
        "line",
        [
            "  indextts2:target: aws",
            '  indextts2:target: "aws"',
            "  indextts2:target: 'aws'  # the cloud",
            '  "indextts2:target": aws',
            "    indextts2:target:   aws   ",
        ],
    )
    def test_reads_what_yaml_allows(self, checkout: Checkout, line: str) -> None:
        checkout.stack_file("dev").write_text(f"config:\n  indextts2:port: 1\n{line}\n")
        assert stack_target(checkout, "dev") == "aws"

    def test_a_stack_without_the_key_is_on_this_machine(self, checkout: Checkout) -> None:
        checkout.stack_file("dev").write_text("config:\n  # indextts2:target: aws\n  other:indextts2:target: aws\n")
        assert stack_target(checkout, "dev") == "local"
        assert stack_target(checkout, "none-yet") == "local"

    def test_an_organization_does_not_change_the_file(self, checkout: Checkout) -> None:
        checkout.stack_file("prod").write_text("config:\n  indextts2:target: alicloud\n")
        assert stack_target(checkout, "team/speech/prod") == "alicloud"

    @pytest.mark.parametrize("name", ["", "../etc/passwd", "a b", "$(id)", "a/b/c/d", "..", "a;b", "local\n"])
    def test_refuses_a_name_that_no_stack_has(self, checkout: Checkout, name: str) -> None:
        with pytest.raises(SetupError, match="cannot be the name of a stack"):
            stack_target(checkout, name)

    @pytest.mark.parametrize("value", ["", "[aws]", "../x", "{a: b}"])
    def test_refuses_a_target_that_is_no_word(self, checkout: Checkout, value: str) -> None:
        checkout.stack_file("dev").write_text(f"config:\n  indextts2:target: {value}\n")
        with pytest.raises(SetupError, match=r"Pulumi\.dev\.yaml: indextts2:target is"):
            stack_target(checkout, "dev")
