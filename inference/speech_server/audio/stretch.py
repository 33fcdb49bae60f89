"""Make speech longer or shorter without changing its pitch."""

from __future__ import annotations

import numpy as np
from python_stretch import Signalsmith

# Any; a fixed one makes the same input give the same output.
_SEED = 0
# Signalsmith works in blocks of 120 ms; below that there is nothing to keep the pitch of, and it rings.
_SHORTEST_SECONDS = 0.12


def stretch_to(samples: np.ndarray, sample_rate: int, length: int) -> np.ndarray:
    """`samples` (float32 mono, shape (n,)) at the same pitch, as exactly `length` samples in -1..1.

    Good from a quarter to four times the length. A clip shorter than 120 ms, before or after, is resampled instead.
    Raises ValueError for a `length` below 1 or an empty clip.
    """
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"samples: shape {samples.shape}, a mono clip of at least one sample is needed")
    if length < 1:
        raise ValueError(f"length: {length} samples, at least 1 is needed")
    if length == samples.size:
        return np.array(samples, dtype=np.float32)
    if min(length, samples.size) < _SHORTEST_SECONDS * sample_rate:
        positions = np.linspace(0, samples.size - 1, num=length)
        return np.interp(positions, np.arange(samples.size), samples).astype(np.float32)
    return _exactly(_stretched(samples, sample_rate, samples.size / length), length)


def _stretched(samples: np.ndarray, sample_rate: int, speed: float) -> np.ndarray:
    processor = Signalsmith.Stretch(_SEED)
    processor.preset(1, sample_rate)
    processor.setTimeFactor(speed)
    stretched = np.asarray(processor.process(np.ascontiguousarray(samples, dtype=np.float32)[None]))[0]
    # phases are rebuilt, so peaks may land a little over full scale
    return np.clip(stretched, -1.0, 1.0)


def _exactly(samples: np.ndarray, length: int) -> np.ndarray:
    # the processor rounds the length down, so at most one sample is missing
    if samples.size >= length:
        return samples[:length]
    return np.pad(samples, (0, length - samples.size))
