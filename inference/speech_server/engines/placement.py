"""How many engine processes a server runs, and which GPU each of them sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speech_server.engines import ENGINES, engine_path

# https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
VISIBLE = "CUDA_VISIBLE_DEVICES"
# An operator who says it chose the one device for the one engine.
DEVICE = "SPEECH_ENGINE_DEVICE"
_NEED_NO_GPU = frozenset({ENGINES["espeak"]})


def place_engines(
    engine: str, number: int | None, devices: Sequence[str], environment: Mapping[str, str], gpus: Sequence[str]
) -> list[dict[str, str]]:
    """What each engine process has in its environment beside the server's own.

    `number` and `devices` as the operator set them, None and empty if not; `gpus`: what the machine shows, each as
    CUDA_VISIBLE_DEVICES takes it. An engine process for each device, or `number` of them, which share the devices in
    turn. Without a device, or with one that the operator gave the engine by name, the environment stays as it is.
    """
    visible = list(devices) or _visible(engine, environment, gpus)
    count = number or max(1, len(visible))
    if not visible:
        return [{} for _ in range(count)]
    return [{VISIBLE: visible[place % len(visible)]} for place in range(count)]


def _visible(engine: str, environment: Mapping[str, str], gpus: Sequence[str]) -> Sequence[str]:
    if environment.get(DEVICE) or engine_path(engine) in _NEED_NO_GPU:
        return ()
    given = environment.get(VISIBLE)
    if given is None:
        return gpus
    shown = []
    for device in map(str.strip, given.split(",")):
        if device in ("", "-1", "NoDevFiles"):  # CUDA sees none of what follows
            break
        shown.append(device)
    return shown
