"""What the GPUs of the clouds' instance types can do, as far as it matters to the model."""

from __future__ import annotations

from components.settings.engine import EngineSettings, Precision

# https://developer.nvidia.com/cuda-gpus
COMPUTE_CAPABILITIES = {
    "T4": (7, 5),
    "A10": (8, 6),
    "A10G": (8, 6),
    "A30": (8, 0),
    "A100": (8, 0),
    "L4": (8, 9),
    "L20": (8, 9),
    "L40S": (8, 9),
    "H100": (9, 0),
}
# A card before Ampere emulates bf16 at a fraction of the speed: https://github.com/index-tts/index-tts/pull/798
BF16_FROM = (8, 0)


def precision_problem(engine: EngineSettings, instance_type: str, gpu: str) -> str | None:
    """Why the engine cannot run in the precision that the stack names on instances of this type, which have a `gpu`."""
    capability = COMPUTE_CAPABILITIES[gpu]
    if engine.precision != "bf16" or capability >= BF16_FROM:
        return None
    have = ".".join(str(part) for part in capability)
    return (
        f"{instance_type} has a {gpu} of compute capability {have}, which only emulates bf16, and engine.precision is "
        "bf16; leave engine.precision out, set it to fp32, or use another type"
    )


def precision_used(engine: EngineSettings, gpu: str) -> Precision | None:
    """In which precision the engine runs on a `gpu`; None for an engine that has none.

    Where the stack names none the engine decides (inference/speech_server/engines/indextts2/precision.py), and all GPUs
    of the table have 16 GB or more, for which it goes without its low-memory mode.
    """
    if engine.version is None or engine.precision:
        return engine.precision
    if engine.version == "2":
        return "fp16"
    return "bf16" if engine.low_memory and COMPUTE_CAPABILITIES[gpu] >= BF16_FROM else "fp32"
