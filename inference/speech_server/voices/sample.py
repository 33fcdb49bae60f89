"""Whether a sample is good enough to be a voice for months: its length, its level, clipping, and that it is speech."""

from __future__ import annotations

import numpy as np
import soxr

from speech_server.audio.decode import AudioError, DecodedReference, ReferenceLimits, decode_reference
from speech_server.audio.levels import loudest_block_dbfs

# A single request may do with a second; what stands for a person needs a few words.
VOICE_LIMITS = ReferenceLimits(min_seconds=2.0, max_seconds=30.0)
# Quiet speech in a quiet room; below it the engine would copy the room.
LOWEST_LEVEL_DBFS = -40.0
# Of all samples: a few clipped peaks are inaudible, one in two hundred rattles.
MOST_CLIPPED = 0.005
MIN_VOICED_SECONDS = 0.5

_CLIPPED_RUN = 4  # samples at the highest level in a row; a sine of 100 Hz at 48 kHz has three
_ANALYSED_RATE = 16_000  # Hz; a voice's pitch and first formants are far below half of it
_FRAME_SECONDS = 0.032
_LOWEST_PITCH, _HIGHEST_PITCH = 60.0, 500.0  # Hz
_ACTIVE_BELOW_LOUD_DB = 25.0
_VOICED_CORRELATION = 0.6
# Speech rises and falls by 20 dB and more within a second; hum, noise and tones stay within 3.
_LEAST_DYNAMICS_DB = 6.0
# Of a frame's energy within 2 bins of its strongest: a tone has all of it there, a vowel about a half.
_TONE_SHARE = 0.9


def check_sample(data: bytes) -> DecodedReference:
    """Decode a voice's sample and check it. Raises AudioError: as `decode_reference`, or audio_too_quiet,
    audio_clipped, audio_no_speech.
    """
    decoded = decode_reference(data, VOICE_LIMITS)
    level = loudest_block_dbfs(decoded.samples, decoded.sample_rate)
    if level < LOWEST_LEVEL_DBFS:
        raise AudioError(
            "audio_too_quiet", f"{level:.0f} dBFS at its loudest, at least {LOWEST_LEVEL_DBFS:.0f} dBFS are needed"
        )
    clipped = clipped_share(decoded.samples)
    if clipped > MOST_CLIPPED:
        raise AudioError(
            "audio_clipped",
            f"{clipped:.1%} of the sample is clipped, at most {MOST_CLIPPED:.1%} may be: record it less loudly",
        )
    voiced = voiced_seconds(decoded.samples, decoded.sample_rate)
    if voiced < MIN_VOICED_SECONDS:
        raise AudioError(
            "audio_no_speech",
            f"{voiced:.1f} s of a speaking voice found, at least {MIN_VOICED_SECONDS:g} s are needed: "
            f"send one person talking, without music",
        )
    return decoded


def clipped_share(samples: np.ndarray) -> float:
    """The share of `samples` (n,) that lies in flat tops: four or more in a row at the file's highest level."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return 0.0
    total = 0
    for at_top in (samples >= 0.9998 * peak, samples <= -0.9998 * peak):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], at_top, [False])).astype(np.int8)))
        lengths = edges[1::2] - edges[::2]
        total += int(lengths[lengths >= _CLIPPED_RUN].sum())
    return total / samples.size


def voiced_seconds(samples: np.ndarray, sample_rate: int) -> float:
    """Seconds of `samples` (n,) that have a voice's pitch, 60-500 Hz; 0 for steady sounds and for tones."""
    if sample_rate > _ANALYSED_RATE:
        samples, sample_rate = soxr.resample(samples, sample_rate, _ANALYSED_RATE), _ANALYSED_RATE
    frames = _frames(samples, sample_rate)
    power = np.square(frames).mean(axis=1)
    levels = 10 * np.log10(power + 1e-12)
    loud = float(np.percentile(levels, 95))
    if loud - float(np.percentile(levels, 10)) < _LEAST_DYNAMICS_DB:
        return 0.0
    active = frames[levels > loud - _ACTIVE_BELOW_LOUD_DB]
    spectrum = _power_spectrum(active)
    if float(np.median(_strongest_share(spectrum))) > _TONE_SHARE:
        return 0.0
    voiced = _pitch_strength(spectrum, active.shape[1], sample_rate) > _VOICED_CORRELATION
    return float(voiced.sum()) * _FRAME_SECONDS


def _frames(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Frames of 32 ms side by side, each without its offset: (frames, samples of a frame)."""
    size = int(_FRAME_SECONDS * sample_rate)
    frames = samples[: samples.size // size * size].reshape(-1, size).astype(np.float32)
    return frames - frames.mean(axis=1, keepdims=True)


def _power_spectrum(frames: np.ndarray) -> np.ndarray:
    # Twice as long, the rest silence: the autocorrelation made of it does not wrap around.
    return np.square(np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), n=2 * frames.shape[1], axis=1)))


def _strongest_share(spectrum: np.ndarray) -> np.ndarray:
    strongest = spectrum.argmax(axis=1)
    reach = np.arange(-4, 5)  # bins of half a frame's resolution
    columns = np.clip(strongest[:, None] + reach, 0, spectrum.shape[1] - 1)
    return np.take_along_axis(spectrum, columns, axis=1).sum(axis=1) / (spectrum.sum(axis=1) + 1e-12)


def _pitch_strength(spectrum: np.ndarray, size: int, sample_rate: int) -> np.ndarray:
    """The highest autocorrelation of each frame at a lag of a voice's pitch, 1 for an exact repetition."""
    correlation = np.fft.irfft(spectrum, axis=1)[:, :size]
    window = np.fft.irfft(np.square(np.abs(np.fft.rfft(np.hanning(size), n=2 * size))))[:size]
    # The window makes every repetition look weaker, in a way that is known.
    shortest, longest = int(sample_rate / _HIGHEST_PITCH), min(int(sample_rate / _LOWEST_PITCH), size // 2)
    lags = slice(shortest, longest + 1)
    ideal = window[lags] / window[0]
    return (correlation[:, lags] / (correlation[:, :1] + 1e-12) / ideal).max(axis=1)
