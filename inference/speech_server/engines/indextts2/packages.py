"""The Python packages that run IndexTTS2, and how they differ.

Read in their sources: index-tts at commit ee40fa7 (https://github.com/index-tts/index-tts), and the source distribution
of indextts25-inference 0.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Version = Literal["2", "2.5"]
Precision = Literal["fp32", "fp16", "bf16"]

SAMPLE_RATE = 22_050  # of every version


@dataclass(frozen=True)
class Package:
    """One way to run one version. `flags`: what the constructor wants for each precision that it can do."""

    name: str
    version: Version
    module: str
    languages: tuple[str, ...]
    flags: Mapping[Precision, Mapping[str, bool]]
    fixed_flags: Mapping[str, bool]
    takes_aux_paths: bool  # where the auxiliary models lie can be said, and nothing is looked up
    takes_language: bool  # and a duration factor: both are new in 2.5
    voice_cache: Literal["slots", "dicts"]  # see voice_caches.py
    diffusion_parameters: bool  # diffusion_steps and inference_cfg_rate can be given

    @property
    def native_duration(self) -> bool:
        return self.takes_language


# No deepspeed, no compilation, no CUDA kernel of their own (it wants nvcc), and not the `accel` engine: it wants
# flash-attn 2, which no T4 or V100 runs, and a call of it cannot be stopped. The text-emotion model is loaded by
# `emotion_scorer.py` instead, which bounds it.
PACKAGES = (
    Package(
        name="indextts25-inference",
        version="2.5",
        module="indextts25.infer_v2_5",
        languages=("zh", "en", "ja", "es", "ar"),
        flags={"fp32": {"use_bf16": False}, "bf16": {"use_bf16": True}},
        fixed_flags={"use_accel": False},
        takes_aux_paths=False,
        takes_language=True,
        voice_cache="dicts",
        diffusion_parameters=True,
    ),
    Package(
        name="index-tts",
        version="2.5",
        module="indextts.infer_v2_5",
        languages=("zh", "en", "ja", "es", "ar"),
        flags={"fp32": {"use_bf16": False}, "bf16": {"use_bf16": True}},
        fixed_flags={"use_cuda_kernel": False, "use_qwen_emo": False},
        takes_aux_paths=False,
        takes_language=True,
        voice_cache="slots",
        diffusion_parameters=False,
    ),
    Package(
        name="index-tts",
        version="2",
        module="indextts.infer_v2",
        languages=("zh", "en"),
        flags={"fp32": {"use_fp16": False}, "fp16": {"use_fp16": True}},
        fixed_flags={"use_cuda_kernel": False, "use_qwen_emo": False},
        takes_aux_paths=True,
        takes_language=False,
        voice_cache="slots",
        diffusion_parameters=False,
    ),
)


def package_for(version: str, name: str | None) -> Package:
    """The package of that name, or the first one, for a version. Raises ValueError that says what there is."""
    for package in PACKAGES:
        if package.version == version and name in (None, package.name):
            return package
    there = ", ".join(f"{package.name} for version {package.version}" for package in PACKAGES)
    raise ValueError(f"no package {name or ''} for version {version!r}: there is {there}".replace("  ", " "))
