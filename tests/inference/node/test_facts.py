"""What is found out about a machine: GPUs by a stand-in for NVIDIA's library, memory by files as Linux has them."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from speech_server.node import facts
from speech_server.node.facts import machine_facts, memory_left, visible_gpus
from speech_server.node.truncated import truncated_files

UUIDS = ["GPU-aaaa1111", "GPU-aabb2222"]


class NvmlStandIn(ModuleType):
    """Answers as pynvml does for two cards, counts its users, and refuses what was not initialised."""

    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f"error {value}")
            self.value = value

    def __init__(self, error: int | None = None, later_error: int | None = None) -> None:
        super().__init__("pynvml")
        self.error = error
        self.later_error = later_error
        self.users = 0

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's names
        if self.error is not None:
            raise self.NVMLError(self.error)
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        assert self.users > 0
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        assert self.users
        if self.later_error is not None:
            raise self.NVMLError(self.later_error)
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:  # noqa: N802
        return (7, 5) if handle == 0 else (8, 9)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(total=16 << 30, free=15 << 30, used=1 << 30)

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802 - bytes, as before nvidia-ml-py 12
        return [b"Tesla T4", b"NVIDIA L4"][handle]

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return UUIDS[handle]

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.133.20"


def with_nvml(monkeypatch: pytest.MonkeyPatch, nvml: ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)


class TestGpus:
    def test_each_that_may_be_used(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        nvml = NvmlStandIn()
        with_nvml(monkeypatch, nvml)
        found = machine_facts({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path)
        assert [(gpu.name, gpu.capability) for gpu in found.gpus] == [("NVIDIA L4", (8, 9))]
        assert (found.driver, found.driver_version, found.hidden_gpus) == ("runs", "570.133.20", 1)
        assert nvml.users == 0
        assert found.disk

    @pytest.mark.parametrize(
        ("error", "driver"), [(12, "no library"), (9, "not loaded"), (18, "fails"), (4, "unknown")]
    )
    def test_without_a_driver(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int, driver: str) -> None:
        with_nvml(monkeypatch, NvmlStandIn(error))
        found = machine_facts({}, tmp_path)
        assert (found.driver, found.gpus) == (driver, ())

    def test_a_card_that_is_lost_meanwhile(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        nvml = NvmlStandIn(later_error=15)
        with_nvml(monkeypatch, nvml)
        found = machine_facts({}, tmp_path)
        assert (found.driver, found.driver_reason, nvml.users) == ("fails", "error 15", 0)

    def test_a_part_of_a_card_that_tells_nothing_of_the_whole(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with_nvml(monkeypatch, NvmlStandIn(later_error=4))  # NVML_ERROR_NO_PERMISSION
        found = machine_facts({}, tmp_path)
        assert (found.driver, found.driver_version, found.gpus) == ("runs", "570.133.20", None)

    def test_cuda_without_nvidias_management_library(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with_nvml(monkeypatch, NvmlStandIn(12))
        monkeypatch.setattr(facts.ctypes, "CDLL", lambda name: {"libcuda.so.1": object()}[name])
        assert machine_facts({}, tmp_path).driver == "unknown"

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with_nvml(monkeypatch, None)
        assert machine_facts({}, tmp_path / "not there").driver == "unknown"

    def test_its_device_without_its_library(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with_nvml(monkeypatch, NvmlStandIn(12))
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "nvidiactl").touch()
        assert not machine_facts({}, tmp_path, tmp_path).device_files
        (tmp_path / "dev" / "nvidia0").touch()
        assert machine_facts({}, tmp_path, tmp_path).device_files

    @pytest.mark.parametrize(
        ("wanted", "places"),
        [
            (None, [0, 1]),
            ("", []),
            ("-1", []),
            ("1,0", [1, 0]),
            ("0,7,1", [0]),  # nothing counts after the first that is not there
            ("GPU-aab", [1]),
            ("GPU-aa", []),  # could be either
            (" 1 ", [1]),
            ("²", []),
            ("MIG-cccc3333", None),
        ],
    )
    def test_what_cuda_is_told_to_see(self, wanted: str | None, places: list[int] | None) -> None:
        assert visible_gpus(UUIDS, wanted) == places


class TestCuda:
    def test_of_the_package_that_torch_brought(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def version(package: str) -> str:
            if package != "nvidia-cuda-runtime-cu12":
                raise facts.importlib.metadata.PackageNotFoundError
            return "12.8.90"

        monkeypatch.setattr(facts.importlib.metadata, "version", version)
        with_nvml(monkeypatch, None)
        assert machine_facts({}, tmp_path).cuda == (12, 8)

    def test_unknown_without_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with_nvml(monkeypatch, None)
        assert machine_facts({}, tmp_path).cuda is None


def system(folder: Path, available: int, most: str | None = None, now: int = 0, cached: int = 0) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/meminfo").write_text(f"MemTotal:  99 kB\nMemAvailable:   {available >> 10} kB\n")
    if most is not None:
        group = folder / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{now}\n")
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    return folder


class TestMemory:
    def test_the_machines(self, tmp_path: Path) -> None:
        assert memory_left(system(tmp_path, 8 << 30)) == 8 << 30

    def test_the_containers_limit_less_what_is_taken_and_not_only_cached(self, tmp_path: Path) -> None:
        assert memory_left(system(tmp_path, 64 << 30, str(8 << 30), 3 << 30, 1 << 30)) == 6 << 30

    def test_a_container_without_a_limit(self, tmp_path: Path) -> None:
        assert memory_left(system(tmp_path, 8 << 30, "max")) == 8 << 30

    def test_a_system_that_tells_nothing(self, tmp_path: Path) -> None:
        assert memory_left(tmp_path) is None


class TestTruncatedFiles:
    def test_each_format_says_how_long_it_is(self, tmp_path: Path) -> None:
        header = b'{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        whole = len(header).to_bytes(8, "little") + header + bytes(16)
        with zipfile.ZipFile(tmp_path / "whole.pth", "w") as archive:
            archive.writestr("archive/data.pkl", bytes(1000))
        pth = (tmp_path / "whole.pth").read_bytes()
        files = {
            "whole.safetensors": whole,
            "less.safetensors": whole[:-1],
            "half a header.safetensors": whole[:40],
            "less.pth": pth[:-30],
            "half.pth": pth[:500],
            "of another format.pth": b"\x80\x02 a pickle",
            "nonsense.safetensors": b"nonsense, and not a length",
            "huge.safetensors": b"\xff" * 8 + b"{",
            "wrong.safetensors": (30).to_bytes(8, "little") + b'{"w":{"data_offsets":"both"}} ' + bytes(4),
            "a list.safetensors": (2).to_bytes(8, "little") + b"{}",
        }
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        names = ["whole.pth", *files, "not there.pth"]
        assert truncated_files(tmp_path, names) == [
            "less.safetensors",
            "half a header.safetensors",
            "less.pth",
            "half.pth",
        ]
