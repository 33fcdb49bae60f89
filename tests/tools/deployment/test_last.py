from __future__ import annotations

import pytest

from tools.deployment.last import last_commit, main
from tools.failure import SetupError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class TestLastCommit:
    def test_of_the_newest_run(self) -> None:
        assert last_commit({"workflow_runs": [{"head_sha": COMMIT}, {"head_sha": "older"}]}) == COMMIT

    def test_nothing_was_deployed_yet(self) -> None:
        assert last_commit({"workflow_runs": []}) is None

    @pytest.mark.parametrize("commit", ["--output=x", None, "main"])
    def test_what_is_no_commit(self, commit: object) -> None:
        with pytest.raises(SetupError, match="as the commit"):
            last_commit({"workflow_runs": [{"head_sha": commit}]})

    def test_a_base_that_is_no_commit(self) -> None:
        with pytest.raises(SetupError, match="in full"):
            main(["main"])
