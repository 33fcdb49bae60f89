"""Which files the weights of a version are, and whether a folder holds them: asked before a byte is loaded.

Names as in https://huggingface.co/IndexTeam/IndexTTS-2 and IndexTTS-2.5, with the auxiliary models where upstream's
`ensure_models_available` puts them (indextts/utils/model_download.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from speech_server.engines.indextts2.packages import Version
from speech_server.weights.marker import unverified

_SHARED = (
    "config.yaml",
    "gpt.pth",
    "s2mel.pth",
    "feat1.pt",
    "feat2.pt",
    "wav2vec2bert_stats.pt",
    "hf_cache/w2v-bert-2.0/config.json",
    "hf_cache/w2v-bert-2.0/preprocessor_config.json",
    "hf_cache/w2v-bert-2.0/model.safetensors",
    "hf_cache/campplus_cn_common.bin",
    "hf_cache/bigvgan/config.json",
    "hf_cache/bigvgan/bigvgan_generator.pt",
)
_OF_VERSION: dict[Version, tuple[str, ...]] = {
    "2": ("bpe.model", "hf_cache/semantic_codec_model.safetensors"),
    "2.5": ("codec.pth", "multilingual_zh_ja_yue_char_del.tiktoken"),
}
# The text-emotion model is an extra: without it `text_desc` is answered with a warning.
_EMOTION_FOLDER = "qwen0.6bemo4-merge"
_EMOTION_FILES = ("config.json", "model.safetensors", "tokenizer_config.json")

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_VERSION_LINE = re.compile(rb"^version:\s*['\"]?(\d+(?:\.\d+)?)", re.MULTILINE)


class WeightsError(Exception):
    """The folder does not hold what the version needs; the message names every file."""


def required_files(version: Version) -> tuple[str, ...]:
    """Paths inside the weights folder."""
    return _SHARED + _OF_VERSION[version]


def version_of(files: Collection[str]) -> Version | None:
    """Which version's files are among these paths, auxiliary models aside; None if neither's are."""
    versions: tuple[Version, ...] = ("2.5", "2")
    for version in versions:
        if {name for name in _OF_VERSION[version] if "/" not in name} <= set(files):
            return version
    return None


def check_weights(folder: Path, version: Version) -> None:
    """Raises WeightsError for missing and empty files, Git LFS pointers, the other version's weights, and for a folder
    that has a manifest and was not verified against it.
    """
    problems = weights_problems(folder, version)
    reason = unverified(folder)
    if reason is not None:
        problems.insert(0, f"{reason}: run `indextts2 weights verify`, or pull them again")
    if problems:
        raise WeightsError(f"the weights in {folder} cannot be loaded: {'; '.join(problems)}")


def weights_problems(folder: Path, version: Version) -> list[str]:
    """What is missing, empty or of the other version; whether the rest is right needs its manifest."""
    problems = [problem for name in required_files(version) if (problem := _problem(folder / name, name))]
    found = _version_of(folder)
    if found is not None and not _same_version(found, version):
        problems.insert(0, f"config.yaml says version {found}, and SPEECH_ENGINE_VERSION is {version}")
    return problems


def auxiliary_paths(folder: Path) -> dict[str, str]:
    """Where version 2 finds the models that it would fetch otherwise."""
    cache = folder / "hf_cache"
    return {
        "w2v_bert": str(cache / "w2v-bert-2.0"),
        "semantic_codec": str(cache / "semantic_codec_model.safetensors"),
        "campplus": str(cache / "campplus_cn_common.bin"),
        "bigvgan": str(cache / "bigvgan"),
    }


def emotion_model(folder: Path) -> Path | None:
    """The folder of the text-emotion model, if it is whole."""
    model = folder / _EMOTION_FOLDER
    return model if all(_problem(model / name, name) is None for name in _EMOTION_FILES) else None


def _problem(path: Path, name: str) -> str | None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_LFS_POINTER))
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    if not start:
        return f"{name} is empty"
    if start == _LFS_POINTER:
        return f"{name} is a Git LFS pointer, not the file itself"
    return None


def _version_of(folder: Path) -> str | None:
    try:
        match = _VERSION_LINE.search((folder / "config.yaml").read_bytes())
    except OSError:
        return None
    return None if match is None else match[1].decode()


def _same_version(found: str, version: Version) -> bool:
    return float(found) == float(version)
