from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools.checkout import Checkout
from tools.failure import SetupError
from tools.plan.touched import changed_files, main, stacks, touched

STACKS = {"dev": "aws", "local": "local", "prod": "aws", "prod-cn": "alicloud"}


class TestTouched:
    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            ("Pulumi.prod.yaml", {"prod"}),
            ("Pulumi.yaml", set(STACKS)),
            ("__main__.py", set(STACKS)),
            ("components/service.py", set(STACKS)),
            ("components/aws/fleet.py", {"dev", "prod"}),
            ("components/settings/aws_access.py", {"dev", "prod"}),
            ("components/alicloud/fleet.py", {"prod-cn"}),
            ("components/local/fleet.py", {"local"}),
            ("requirements-aws.txt", {"dev", "prod"}),
            ("inference/speech_server/app.py", set(STACKS)),
            ("policy/rules/ports.py", set(STACKS)),
            ("something/new", set(STACKS)),
            ("docs/aws.md", set()),
            ("README.md", set()),
            ("tests/unit/test_program.py", set()),
            ("requirements-dev.txt", set()),
            (".github/workflows/deploy.yml", set()),
        ],
    )
    def test_each_file(self, file: str, expected: set[str]) -> None:
        assert set(touched([file], STACKS)) == expected

    def test_several_files_touch_all_of_theirs_in_the_stacks_order(self) -> None:
        assert list(touched(["Pulumi.prod-cn.yaml", "docs/x.md", "Pulumi.dev.yaml"], STACKS)) == ["dev", "prod-cn"]

    def test_a_deleted_stack_is_no_stack(self) -> None:
        assert touched(["Pulumi.gone.yaml"], STACKS) == {}


class TestStacks:
    def test_the_checkouts_own(self) -> None:
        found = stacks(Checkout(Path(__file__).resolve().parents[3]))
        assert found.items() >= {"dev": "aws", "local": "local", "prod": "aws"}.items()

    def test_a_name_that_would_be_more_than_a_name_is_refused(self, checkout: Checkout) -> None:
        (checkout.root / "Pulumi.$(touch x).yaml").write_text("")
        with pytest.raises(SetupError, match="no stack can have this name"):
            stacks(checkout)


class TestChangedFiles:
    @pytest.fixture
    def repository(self, checkout: Checkout) -> Checkout:
        def git(*arguments: str) -> None:
            who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *who, *arguments], cwd=checkout.root, check=True, capture_output=True)

        git("init", "--initial-branch", "main")
        git("add", ".")
        git("commit", "-m", "one")
        git("checkout", "-b", "change")
        (checkout.root / "a line\nbreak.py").write_text("")
        (checkout.root / "Pulumi.dev.yaml").write_text("config:\n  indextts2:target: aws\n")
        git("add", ".")
        git("commit", "-m", "two")
        return checkout

    def test_what_the_branch_changed(self, repository: Checkout) -> None:
        assert changed_files(repository, "main") == ["Pulumi.dev.yaml", "a line\nbreak.py"]

    @pytest.mark.parametrize("base", ["nowhere", "--output=x"])
    def test_what_is_no_commit(self, repository: Checkout, base: str) -> None:
        with pytest.raises(SetupError):
            changed_files(repository, base)
        assert not (repository.root / "x").exists()

    def test_a_workflow_gets_its_outputs(
        self, repository: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "output"
        monkeypatch.setenv("GITHUB_OUTPUT", str(output))
        monkeypatch.setattr("tools.plan.touched.here", lambda: repository)
        main(["main"])
        assert json.loads(capsys.readouterr().out) == [{"name": "dev", "target": "aws"}]
        assert output.read_text() == 'local=[]\ncloud=[{"name": "dev", "target": "aws"}]\n'
