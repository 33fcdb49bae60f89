"""Weights for tests, small but of several parts, and what transfers need beside them."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from functools import lru_cache
from pathlib import Path

from speech_server.engines.indextts2.weights import required_files
from speech_server.weights.claim import Pace
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.manifest import PART_BYTES, Manifest
from speech_server.weights.place import WeightsPlace, open_place
from speech_server.weights.progress import Progress
from speech_server.weights.push import push

QUICK = Pace(lease=0.4, renew=0.05, poll=0.02)
LARGE = 2 * PART_BYTES + 12_345
_EMOTION = ("config.json", "model.safetensors", "tokenizer_config.json")
AUXILIARY = {
    "facebook/w2v-bert-2.0": ("config.json", "preprocessor_config.json", "model.safetensors"),
    "amphion/MaskGCT": ("semantic_codec/model.safetensors",),
    "funasr/campplus": ("campplus_cn_common.bin",),
    "nvidia/bigvgan_v2_22khz_80band_256x": ("config.json", "bigvgan_generator.pt"),
}
ON_MODELSCOPE = {
    "facebook/w2v-bert-2.0": "AI-ModelScope/w2v-bert-2.0",
    "amphion/MaskGCT": "amphion/MaskGCT",
    "funasr/campplus": "iic/speech_campplus_sv_zh-cn_16k-common",
    "nvidia/bigvgan_v2_22khz_80band_256x": "nv-community/bigvgan_v2_22khz_80band_256x",
}


@lru_cache(maxsize=100)
def noise(name: str, size: int) -> bytes:
    """The same bytes for the same name."""
    return random.Random(name).randbytes(size)


def main_files(version: str = "2.5", large: int = LARGE) -> dict[str, bytes]:
    """What the main repository of a version holds."""
    names = [path for path in required_files(version) if not path.startswith("hf_cache/")]  # type: ignore[arg-type]
    names += [f"qwen0.6bemo4-merge/{name}" for name in _EMOTION]
    files = {name: noise(name, large if name == "gpt.pth" else 500 + len(name) * 100) for name in names}
    return {**files, "config.yaml": f"version: {float(version)}\n".encode(), "LICENSE": b"bilibili\n"}


def hub_repos(version: str = "2.5", modelscope: bool = False) -> dict[str, dict[str, bytes]]:
    main = {**main_files(version, large=2_500_000), ".gitattributes": b"*.pth filter=lfs\n", "示例 1.wav": b"RIFF"}
    repos = {f"IndexTeam/IndexTTS-{version}": main}
    for repo, names in AUXILIARY.items():
        name = ON_MODELSCOPE[repo] if modelscope else repo
        repos[name] = {path: noise(f"{repo}/{path}", 2000 if "." in path[-6:] else 50) for path in names}
    return repos


def write_set(folder: Path, version: str = "2.5", large: int = LARGE) -> Path:
    """A whole folder of weights."""
    files = main_files(version, large)
    files |= {path: noise(path, 900) for path in required_files(version) if path not in files}  # type: ignore[arg-type]
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Path -> sha256 of every visible file but the set's own notes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.relative_to(folder).as_posix().startswith(".")
        and path.name not in ("manifest.json", "VERIFIED")
    }


def told() -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    return Progress(stream), stream


def place_at(folder: Path, name: str = "set") -> WeightsPlace:
    return open_place(folder.as_uri(), name)


def push_set(place: WeightsPlace, folder: Path) -> Manifest:
    return push(place, WeightsFolder(folder), None, told()[0], threading.Event(), Pace())
