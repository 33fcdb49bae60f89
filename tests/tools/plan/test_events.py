from __future__ import annotations

import json
from typing import Any

import pytest

from tools.plan.differences import Difference, differences
from tools.plan.events import Plan, read_plan
from tools.plan.failure import explain
from tools.plan.preview import judged

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def line(**event: Any) -> str:
    return json.dumps({"sequence": 1, **event})


class TestReadPlan:
    def test_a_replacement_counts_once_and_noise_not_at_all(self) -> None:
        step = {"urn": "urn:pulumi:dev::p::aws:sqs/queue:Queue::jobs", "type": "aws:sqs/queue:Queue", "keys": ["name"]}
        lines = [
            "not json",
            "[1]",
            *(line(resourcePreEvent={"metadata": {**step, "op": op}})
              for op in ("create-replacement", "replace", "delete-replaced", "same")),
            line(diagnosticEvent={"severity": "warning", "message": "using pulumi-resource-aws from $PATH at /x\n"}),
            line(diagnosticEvent={"severity": "warning", "message": "\x1b[33mold\x1b[0m\n"}),
            line(diagnosticEvent={"severity": "warning", "message": "old"}),
            line(diagnosticEvent={"severity": "info", "message": "hello"}),
            line(summaryEvent={"resourceChanges": {"same": 3}, "result": "succeeded"}),
        ]  # fmt: skip
        plan = read_plan("dev", lines)
        assert [(one.operation, one.name, one.because) for one in plan.changes] == [("replace", "jobs", ("name",))]
        assert plan.warnings == ("old",)
        assert plan.unchanged == 3
        assert not plan.failed

    def test_a_preview_that_was_cut_short_is_no_plan(self) -> None:
        assert read_plan("dev", []).failed
        assert read_plan("dev", [line(summaryEvent={"result": "failed"})]).failed

    def test_advice_fails_nothing_and_a_mandatory_rule_does(self) -> None:
        end = line(summaryEvent={"result": "succeeded"})
        policy = {"policyName": "x", "message": "What it is.\nit: what is wrong\n", "enforcementLevel": "advisory"}
        advice = read_plan("dev", [line(policyEvent=policy), end])
        assert not advice.failed
        assert advice.violations[0].text == "it: what is wrong"
        assert read_plan("dev", [line(policyEvent={**policy, "enforcementLevel": "mandatory"}), end]).failed


class TestJudged:
    def test_a_status_without_a_word_fails(self) -> None:
        fine = Plan("dev", complete=True, checked=True)
        assert judged(fine, 0, "warning") == fine
        assert judged(fine, 255, "the CLI broke").errors == ("the CLI broke",)
        assert judged(fine, 255, "").errors == ("pulumi preview ended with status 255",)

    def test_no_pack_fails(self) -> None:
        assert judged(Plan("dev", complete=True), 0, "").failed


class TestDifferences:
    def test_only_what_differs_by_its_path(self) -> None:
        old = {"a": {"b": 1.0, "c": "x"}, "list": [{"k": 1}, {"k": 2}], "gone": True}
        new = {"a": {"b": 2.0, "c": "x"}, "list": [{"k": 1}, {"k": 3}], "added": None}
        assert differences(old, new, ["a", "list", "gone"]) == [
            Difference("a.b", "1", "2"),
            Difference("list[1].k", "2", "3"),
            Difference("gone", "true", "none"),
        ]

    def test_no_secret_and_no_placeholder_is_shown(self) -> None:
        found = differences(
            {"key": "[secret]", "x": SECRET, "u": "y"}, {"key": "plain!", "x": "z", "u": UNKNOWN}, "kxu"
        )
        assert [(one.path, one.before, one.after) for one in found][2:] == [("u", "y", "known after the update")]
        found = differences({"key": "[secret]", "x": SECRET}, {"key": "plain!"}, ["key", "x"])
        assert [(one.before, one.after) for one in found] == [("a secret", "a secret"), ("a secret", "none")]

    def test_long_values_are_cut_and_drift_is_named(self) -> None:
        (found,) = differences({"userData": "A" * 9000}, {"userData": "B"}, ["userData"])
        assert found.before.endswith("... (9000 characters)")
        assert len(found.before) < 80
        assert differences({"a": 1}, {"a": 1}, ["a"]) == [Difference("a", "changed outside", "as set")]


class TestExplain:
    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("error: the stack is currently locked by 1 lock(s)", "locked"),
            ("get credentials: failed to refresh cached credentials, no EC2 IMDS role found", "no valid credentials"),
            ("ExpiredTokenException: The security token included in the request is expired", "have expired"),
            ("error: no stack named 'prod' found", "no such stack"),
            ("get stack secrets manager: incorrect passphrase", "passphrase"),
            ("AccessDeniedException: not authorized to perform: kms:Decrypt", "key service refuses"),
            ('read ".pulumi/meta.yaml": NoSuchBucket', "state cannot be read"),
            ("could not start policy pack x", "policy pack could not run"),
            ("something else", "The preview failed."),
        ],
    )
    def test_each_says_what_it_is_and_what_to_do(self, text: str, what: str) -> None:
        found, remedy = explain(text)
        assert what in found
        assert len(remedy) > 20
