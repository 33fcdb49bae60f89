"""How loud sound is, in dBFS: a full-scale sine is -3.01, digital silence is -inf."""

from __future__ import annotations

import numpy as np

# the gating block of ITU-R BS.1770 (400 ms): long enough to skip clicks, short enough to find one spoken word
BLOCK_SECONDS = 0.4


def loudest_block_dbfs(samples: np.ndarray, sample_rate: int) -> float:
    """The RMS level of the loudest 400 ms of mono `samples` of shape (n,), their constant offset left out.

    -inf for digital silence and for no samples at all.
    """
    if samples.size == 0:
        return float("-inf")
    # half a block at a time and each block overlapping the next by half: no word falls between two blocks, and no
    # float64 copy of the clip is made
    half = min(samples.size, max(1, int(BLOCK_SECONDS / 2 * sample_rate)))
    halves = samples[: samples.size // half * half].reshape(-1, half)
    offset = float(np.mean(samples, dtype=np.float64))
    squares = np.einsum("ij,ij->i", halves, halves, dtype=np.float64) / half
    power = squares - 2 * offset * halves.mean(axis=1, dtype=np.float64) + offset**2
    loudest = float(np.max((power[1:] + power[:-1]) / 2 if power.size > 1 else power))
    # what rounding leaves of a constant; -120 dBFS is below the noise of every 16-bit recording
    return 10 * float(np.log10(loudest)) if loudest > 1e-12 else float("-inf")


def audible_span(samples: np.ndarray, sample_rate: int, threshold: float) -> tuple[int, int]:
    """First and one past the last sample whose magnitude is over `threshold` (0-1), 5 ms kept on either side.

    (0, 0) if there is none.
    """
    over = np.flatnonzero(np.abs(samples) > threshold)
    if over.size == 0:
        return 0, 0
    margin = sample_rate * 5 // 1000
    return max(0, int(over[0]) - margin), min(samples.size, int(over[-1]) + 1 + margin)


def with_soft_ends(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """A copy that rises from zero within 3 ms and falls to it within 15 ms, to be joined to silence without a click.

    The rise keeps the burst of a p or t; a vowel that was cut short needs the longer fall.
    """
    faded = samples.astype(np.float32, copy=True)
    rise = _ramp(min(samples.size // 2, sample_rate * 3 // 1000))
    fall = _ramp(min(samples.size // 2, sample_rate * 15 // 1000))
    faded[: rise.size] *= rise
    faded[samples.size - fall.size :] *= fall[::-1]
    return faded


def _ramp(size: int) -> np.ndarray:
    return np.linspace(0.0, 1.0, num=size, endpoint=False, dtype=np.float32)
