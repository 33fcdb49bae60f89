"""The Alibaba Cloud target and AWS's know nothing of each other. Needs processes of its own: here all is imported."""

import subprocess
import sys

import pytest

from components.settings import PROJECT_FILE

SDKS = ("pulumi_aws", "pulumi_docker", "pulumi_alicloud")


def imported(module: str) -> set[str]:
    """The full names of everything that an import of `module` brings in."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_FILE.parent, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


class TestImports:
    @pytest.mark.parametrize(
        ("target", "other", "sdks"),
        [
            ("components.alicloud", "components.aws", {"pulumi_alicloud", "pulumi_docker"}),
            ("components.aws", "components.alicloud", {"pulumi_aws", "pulumi_docker"}),
        ],
    )
    def test_a_cloud_imports_its_own_sdk_and_nothing_of_the_other(self, target: str, other: str, sdks: set[str]):
        found = imported(target)
        assert {name for name in found if name in SDKS} == sdks
        assert target in found
        assert not [name for name in found if name == other or name.startswith((f"{other}.", "components.local"))]
