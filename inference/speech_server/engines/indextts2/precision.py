"""fp32, fp16 or bf16: decided by what the card is, never by what it says of itself.

`torch.cuda.is_bf16_supported()` is true on a T4, which emulates bf16 at a fraction of the speed
(https://github.com/index-tts/index-tts/pull/798).
"""

from __future__ import annotations

from speech_server.engines.indextts2.packages import Package, Precision

Capability = tuple[int, int]  # compute capability of a CUDA device: (7, 5) is a T4, (8, 6) an A10G, (8, 9) an L4

_BF16_FROM: Capability = (8, 0)
_TF32_FROM: Capability = (8, 0)
# fp16 tensor cores come with 7.0; on a V100 (7.0) version 2 was slower in fp16 than in fp32 all the same: RTF 4.30
# against 3.73 (https://github.com/index-tts/index-tts/issues/363)
_FP16_FROM: Capability = (7, 5)
# Where there is little memory and no other half precision, slower is better than not at all.
_SLOW_FP16_FROM: Capability = (7, 0)


class PrecisionError(ValueError):
    """The precision asked for is not to be had here."""


def choose_precision(wanted: str, package: Package, capability: Capability | None, low_memory: bool) -> Precision:
    """The precision to load in; `capability` None means the CPU. Raises PrecisionError."""
    if wanted == "auto":
        return _automatic(package, capability, low_memory)
    for precision in package.flags:
        if precision == wanted:
            _check(precision, capability)
            return precision
    raise PrecisionError(f"{package.name} runs version {package.version} in {', '.join(package.flags)}, not {wanted}")


def check_tf32(capability: Capability | None) -> None:
    """Whether the card multiplies fp32 numbers on its tensor cores; `capability` None means the CPU. Raises
    PrecisionError.
    """
    if capability is None or capability < _TF32_FROM:
        there = "the CPU has" if capability is None else f"this card has {capability[0]}.{capability[1]} and"
        raise PrecisionError(f"TF32 needs compute capability 8.0, {there} no such units: leave SPEECH_ENGINE_TF32 out")


def _automatic(package: Package, capability: Capability | None, low_memory: bool) -> Precision:
    if capability is None:
        return "fp32"
    if "fp16" in package.flags and capability >= (_SLOW_FP16_FROM if low_memory else _FP16_FROM):
        return "fp16"
    # Version 2.5 peaked at 6.0 GB in fp32 on a paragraph and at 4.3 GB in bf16, which was no faster (README of
    # indextts25-inference 0.2.0, RTX 5090; WIndexTTS's README has RTF 0.62 and 0.68 on an A10G).
    if "bf16" in package.flags and capability >= _BF16_FROM and low_memory:
        return "bf16"
    return "fp32"


def _check(precision: Precision, capability: Capability | None) -> None:
    if precision == "fp32":
        return
    if capability is None:
        raise PrecisionError(f"{precision} needs a CUDA device; the CPU runs fp32")
    if precision == "bf16" and capability < _BF16_FROM:
        raise PrecisionError(
            f"bf16 needs compute capability 8.0, this card has {capability[0]}.{capability[1]} and only "
            "emulates it: use fp32"
        )
    if precision == "fp16" and capability < _SLOW_FP16_FROM:
        raise PrecisionError(
            f"fp16 needs compute capability 7.0, this card has {capability[0]}.{capability[1]}: use fp32"
        )
