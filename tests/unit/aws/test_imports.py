"""No stack pays for another target's SDK. Needs processes of its own: in this one everything is imported already."""

import subprocess
import sys

import pytest

from components.settings import PROJECT_FILE

SDKS = ("pulumi_aws", "pulumi_docker", "pulumi_alicloud")


def imported(module):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_FILE.parent, capture_output=True, text=True, check=True
    )
    return {name for name in done.stdout.split() if name in SDKS}


class TestImports:
    @pytest.mark.parametrize("module", ["components.settings", "components.service", "components.local"])
    def test_the_local_target_imports_no_clouds_sdk(self, module):
        assert imported(module) == set()

    def test_aws_imports_no_other_clouds(self):
        assert imported("components.aws") == {"pulumi_aws", "pulumi_docker"}
