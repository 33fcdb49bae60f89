"""torch, as far as the engine itself needs it: the device, its memory, gradients and random numbers."""

from __future__ import annotations

import gc
import importlib
import os
import resource
from contextlib import AbstractContextManager
from typing import Any

from speech_server.engines.indextts2.precision import Capability

# Set before torch and transformers are imported. Expandable segments keep a long-lived process from running out of
# memory by fragmentation (https://docs.pytorch.org/docs/stable/notes/cuda.html, "Memory management").
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
}


class Accelerator:
    """The device that the model runs on. Raises ImportError without torch, ValueError for a GPU that is not there."""

    def __init__(self, device: str | None) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # offline is no default but a promise
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
        self._torch: Any = importlib.import_module("torch")
        there = self._torch.cuda.is_available()
        self.device: str = device or ("cuda:0" if there else "cpu")
        if self.on_gpu and not there:
            raise ValueError(f"SPEECH_ENGINE_DEVICE={self.device}: torch finds no CUDA device")

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def capability(self) -> Capability | None:
        return tuple(self._torch.cuda.get_device_capability(self.device)) if self.on_gpu else None

    @property
    def memory_bytes(self) -> int:
        return self._torch.cuda.get_device_properties(self.device).total_memory if self.on_gpu else 0

    def multiply_in_tf32(self) -> None:
        """fp32 products by the tensor cores, to about three decimal places
        (https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html).
        """
        self._torch.set_float32_matmul_precision("high")

    def no_grad(self) -> AbstractContextManager[None]:
        return self._torch.no_grad()

    def seed(self, seed: int) -> None:
        self._torch.manual_seed(seed)  # of the CPU and every GPU

    def used_bytes(self) -> int:
        """Memory that only a new process gives back: the GPU's as allocated, else the process's."""
        if self.on_gpu:
            return self._torch.cuda.memory_allocated(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def release(self) -> None:
        """Give back what nothing holds any more."""
        gc.collect()
        if self.on_gpu:
            self._torch.cuda.empty_cache()


def breaks_the_process(error: Exception) -> bool:
    """Whether what raised this may leave the process in a state that no later call can trust.

    After an error of CUDA's every later call of it fails. Anything else is Python's: a shape, an index, a text that the
    model's code was not made for, and the next call knows nothing of it.
    """
    if is_out_of_memory(error) or isinstance(error, AssertionError | OSError | SystemError):
        return True
    return any(word in str(error) for word in ("CUDA", "cuDNN", "CUBLAS", "CUFFT", "NVRTC", "device-side"))


def is_out_of_memory(error: BaseException) -> bool:
    """torch has a class for it since 2.5; cuBLAS and cuDNN report it in their own words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in message or "ALLOC_FAILED" in message)
