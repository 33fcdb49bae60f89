"""Which files of which repositories are a set of weights, and where in its folder each belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speech_server.engines.indextts2.packages import Version
from speech_server.engines.indextts2.weights import required_files, version_of
from speech_server.weights import manifest
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.hubs import Hub, Listed, Repo, Source, page_url

# Repository -> (its name on Hugging Face, on ModelScope). The second column as upstream maps them
# (indextts/utils/model_download.py of https://github.com/index-tts/index-tts), BigVGAN as in
# https://modelscope.cn/models/nv-community/bigvgan_v2_22khz_80band_256x.
_REPOS = {
    "w2v-bert": ("facebook/w2v-bert-2.0", "AI-ModelScope/w2v-bert-2.0"),
    "codec": ("amphion/MaskGCT", "amphion/MaskGCT"),
    "campplus": ("funasr/campplus", "iic/speech_campplus_sv_zh-cn_16k-common"),
    "bigvgan": ("nvidia/bigvgan_v2_22khz_80band_256x", "nv-community/bigvgan_v2_22khz_80band_256x"),
}
_W2V = "hf_cache/w2v-bert-2.0"
# Path in the weights folder -> (repository, path in it).
_AUXILIARY = {
    f"{_W2V}/config.json": ("w2v-bert", "config.json"),
    f"{_W2V}/preprocessor_config.json": ("w2v-bert", "preprocessor_config.json"),
    f"{_W2V}/model.safetensors": ("w2v-bert", "model.safetensors"),
    "hf_cache/semantic_codec_model.safetensors": ("codec", "semantic_codec/model.safetensors"),
    "hf_cache/campplus_cn_common.bin": ("campplus", "campplus_cn_common.bin"),
    "hf_cache/bigvgan/config.json": ("bigvgan", "config.json"),
    "hf_cache/bigvgan/bigvgan_generator.pt": ("bigvgan", "bigvgan_generator.pt"),
}
_REVISIONS = {"hf": "main", "modelscope": "master"}


@dataclass(frozen=True)
class Wanted:
    """A file of the set: `path` in the weights folder, and what the hub has for it."""

    path: str
    repo: Repo
    listed: Listed


def model_version(repo: Repo) -> Version:
    """Of the main repository. Raises TransferError."""
    version = version_of(repo.files)
    if version is None:
        own = ", ".join(sorted({name for v in ("2", "2.5") for name in required_files(v)} & set(repo.files))) or "none"
        raise TransferError(
            Exit.CONTENT,
            f"{page_url(repo.source)} holds the weights of neither version 2 nor 2.5 (of their files: {own}): "
            "use IndexTeam/IndexTTS-2 or IndexTeam/IndexTTS-2.5",
        )
    return version


def auxiliary_sources(hub: Hub, version: Version) -> dict[str, Source]:
    """The further repositories that the version needs, by the names that `wanted_files` knows them by."""
    names = {_AUXILIARY[path][0] for path in required_files(version) if path in _AUXILIARY}
    column = 0 if hub.kind == "hf" else 1
    return {name: Source(hub, _REPOS[name][column], _REVISIONS[hub.kind]) for name in sorted(names)}


def wanted_files(main: Repo, auxiliary: Mapping[str, Repo], version: Version) -> tuple[Wanted, ...]:
    """The main repository's files, its licence among them, but for hidden ones and such whose names a bucket would not
    take, and those of the others that the version needs. Raises TransferError if the hub lacks one.
    """
    found = {path: Wanted(path, main, listed) for path, listed in main.files.items() if manifest.is_path(path)}
    for path in required_files(version):
        if path in _AUXILIARY:
            name, there = _AUXILIARY[path]
            repo = auxiliary[name]
            if there not in repo.files:
                raise _missing(there, repo)
            found[path] = Wanted(path, repo, repo.files[there])
        elif path not in found:
            raise _missing(path, main)
    clash = manifest.name_clash(sorted(found))
    if clash is not None:
        raise TransferError(Exit.CONTENT, f"{page_url(main.source)}: {clash}")
    return tuple(found[path] for path in sorted(found))


def _missing(path: str, repo: Repo) -> TransferError:
    return TransferError(
        Exit.CONTENT, f"{page_url(repo.source)} at {repo.revision} has no file {path}: take another revision or hub"
    )
