"""What is judged of a machine, from plain facts: every problem with its remedy, and none where nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from speech_server.engines.indextts2.packages import package_for
from speech_server.node import clouds
from speech_server.node.clouds import Cloud
from speech_server.node.facts import Gpu, Machine
from speech_server.node.preflight import Needs, problems

GB = 10**9
T4 = Gpu("Tesla T4", (7, 5), 16 * GB, 15 * GB)
P100 = Gpu("Tesla P100", (6, 0), 16 * GB, 16 * GB)
SMALL = Gpu("GTX 1650", (7, 5), 4 * GB, 4 * GB)
GOOD = Machine("runs", "", "570.133.20", True, (T4,), 0, (12, 8), 14 * GB, 50 * GB)
V25 = Needs(package_for("2.5", None), "auto", None, None, int(3.3 * GB), False)


def told(machine: Machine, needs: Needs = V25) -> list[str]:
    return [str(problem) for problem in problems(machine, needs)]


class TestGoodMachines:
    @pytest.mark.parametrize("capability", [(7, 0), (7, 5), (8, 6), (8, 9), (9, 0), (12, 0)])
    @pytest.mark.parametrize("version", ["2", "2.5"])
    def test_nothing_is_wrong(self, capability: tuple[int, int], version: str) -> None:
        machine = replace(GOOD, gpus=(replace(T4, capability=capability),))
        assert told(machine, replace(V25, package=package_for(version, None))) == []

    def test_what_cannot_be_told_is_not_held_against_it(self) -> None:
        assert told(Machine("unknown")) == []
        assert told(replace(GOOD, gpus=None, cuda=None, memory=None, disk=None)) == []

    def test_the_cpu_needs_no_gpu(self) -> None:
        assert told(Machine("no library"), replace(V25, device="cpu")) == []


class TestDriver:
    @pytest.mark.parametrize(
        ("machine", "what", "remedy"),
        [
            (Machine("no library"), "no GPU is visible", "--gpus all"),
            (Machine("no library", device_files=True), "no NVIDIA driver library", "NVIDIA_DRIVER_CAPABILITIES"),
            (Machine("not loaded"), "driver is not loaded", "nvidia-smi"),
            (Machine("fails", "Driver/library version mismatch"), "version mismatch", "restart"),
            (Machine("runs", driver_version="570.1"), "sees no GPU", "nvidia-smi"),
            (Machine("runs", driver_version="570.1", hidden_gpus=2), "hides all 2 GPUs", "unset it"),
        ],
    )
    def test_each_way_to_be_without_a_gpu(self, machine: Machine, what: str, remedy: str) -> None:
        (problem,) = problems(machine, V25)
        assert what in problem.what
        assert remedy in problem.remedy

    @pytest.mark.parametrize(
        ("cuda", "driver", "wanted"),
        [
            ((12, 8), "470.256.02", 525),
            ((12, 8), "524.99", 525),
            ((12, 8), "525.60.13", None),
            ((13, 0), "570.133.20", 580),
            ((13, 0), "580.65.06", None),
            ((11, 8), "450.80.02", None),
            ((14, 0), "525.60.13", None),  # a CUDA that this table does not know yet
            ((12, 8), "vendor build", None),
        ],
    )
    def test_its_age(self, cuda: tuple[int, int], driver: str, wanted: int | None) -> None:
        found = told(replace(GOOD, cuda=cuda, driver_version=driver))
        assert found == [] if wanted is None else f"driver {wanted} or newer" in found[0]
        assert len(found) == (wanted is not None)

    def test_a_gpu_that_is_not_there(self) -> None:
        (problem,) = told(GOOD, replace(V25, device="cuda:1"))
        assert problem.startswith("SPEECH_ENGINE_DEVICE=cuda:1, and there are 1 GPUs")


class TestCard:
    def test_too_old_a_card(self) -> None:
        (problem,) = told(replace(GOOD, gpus=(P100,)))
        assert problem.startswith("the Tesla P100 has compute capability 6.0, and torch needs 7.0 or more: use a T4")

    def test_a_precision_that_it_only_emulates(self) -> None:
        (problem,) = told(GOOD, replace(V25, precision="bf16"))
        assert "SPEECH_ENGINE_PRECISION=bf16 on the Tesla T4" in problem
        assert "use fp32" in problem

    def test_too_little_memory(self) -> None:
        (problem,) = told(replace(GOOD, gpus=(SMALL,)))
        assert problem.startswith("the GTX 1650 has 4.0 GB of memory")
        assert "a card with 16 GB" in problem

    def test_memory_that_others_have(self) -> None:
        (problem,) = told(replace(GOOD, gpus=(replace(T4, free=2 * GB),)))
        assert "other processes have left 2.0 GB" in problem
        assert "nvidia-smi" in problem

    def test_the_emotion_model_counts_where_it_goes_onto_the_card(self) -> None:
        card = replace(T4, memory=16 * GB, free=int(6.5 * GB))
        needs = replace(V25, emotion_model=True)
        assert len(told(replace(GOOD, gpus=(card,)), needs)) == 1
        assert told(replace(GOOD, gpus=(card,)), replace(needs, low_memory=True)) == []
        assert told(replace(GOOD, gpus=(card,)), V25) == []


class TestMemoryAndDisk:
    def test_the_largest_file_must_fit(self) -> None:
        (problem,) = told(replace(GOOD, memory=4 * GB))
        assert problem.startswith("4.0 GB of main memory are left, and loading needs 4.3 GB")

    def test_the_folder(self) -> None:
        (problem,) = told(replace(GOOD, disk=GB // 10))
        assert "SPEECH_WORK_DIR" in problem

    def test_everything_at_once_the_gpu_first(self) -> None:
        found = told(Machine("not loaded", memory=0, disk=0))
        assert len(found) == 3
        assert "driver" in found[0]


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


def cloud(**other: object) -> list[str]:
    facts = replace(Cloud("s3.us-west-2.amazonaws.com", NOW, NOW), **other)  # ty: ignore[invalid-argument-type]
    return [str(problem) for problem in clouds.problems(facts)]


class TestClock:
    @pytest.mark.parametrize("minutes", [-15, -1, 0, 14, 15])
    def test_what_the_store_accepts(self, minutes: int) -> None:
        assert cloud(now=NOW + timedelta(minutes=minutes)) == []

    @pytest.mark.parametrize(("minutes", "how"), [(60, "60 minutes ahead of"), (-16, "16 minutes behind")])
    def test_what_it_refuses(self, minutes: int, how: str) -> None:
        (problem,) = cloud(now=NOW + timedelta(minutes=minutes))
        assert f"clock is {how} s3.us-west-2.amazonaws.com" in problem
        assert "chronyc" in problem


class TestRole:
    def test_no_role(self) -> None:
        (problem,) = cloud(role=False)
        assert problem.startswith("the instance has no role")

    def test_no_metadata_service_is_told_first(self) -> None:
        first, second = cloud(metadata_problem="ConnectTimeout", store_time=None, store_problem="ConnectError")
        assert "metadata service does not answer (ConnectTimeout)" in first
        assert "hop limit of 2" in first
        assert "s3.us-west-2.amazonaws.com does not answer" in second
