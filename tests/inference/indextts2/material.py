"""Weights, voices and utterances for the engine's tests, and what can be heard of the stand-in's tones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from speech_server.audio.encode import wav
from speech_server.engines.base import Emotion, Reference, Utterance
from speech_server.engines.indextts2.weights import required_files

PACKAGES = Path(__file__).parent / "packages"
SAMPLE_RATE = 22_050
VERSIONS = ({"VERSION": "2"}, {"VERSION": "2.5"}, {"VERSION": "2.5", "PACKAGE": "index-tts"})
VERSION_NAMES = ("v2", "v2.5", "v2.5-upstream")


def write_weights(folder: Path, version: str) -> None:
    """Every file that the version needs, each a few bytes, and the text-emotion model's."""
    assert version in ("2", "2.5")
    emotion = [f"qwen0.6bemo4-merge/{name}" for name in ("config.json", "model.safetensors", "tokenizer_config.json")]
    for name in [*required_files(version), *emotion]:  # type: ignore[arg-type]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    (folder / "config.yaml").write_text(f"gpt_checkpoint: gpt.pth\nversion: {float(version)}\n")


def sample(hertz: float, seconds: float = 2.0) -> bytes:
    """A voice sample's file."""
    time_axis = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return wav((0.4 * np.sin(2 * np.pi * hertz * time_axis)).astype(np.float32), SAMPLE_RATE)


def reference(folder: Path, content: bytes, name: str | None = None, seconds: float = 2.0) -> Reference:
    """As the server keeps it, named by its content, or under any other name."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / (name or f"{sha256}.wav")
    path.write_bytes(content)
    return Reference(sha256=sha256, path=str(path), seconds=seconds)


def utterance(text: str, sample_reference: Reference | None, **fields: Any) -> Utterance:
    values: dict[str, Any] = {
        "language": None,
        "voice": None,
        "emotion": None,
        "duration_factor": None,
        "seed": 7,
        "small_footprint": False,
    }
    return Utterance(text=text, reference=sample_reference, **{**values, **fields})


def described(description: str, intensity: float = 1.0) -> Emotion:
    return Emotion("text_desc", description, None, None, intensity)


def in_vector(vector: tuple[float, ...], intensity: float = 1.0) -> Emotion:
    return Emotion("vector", None, vector, None, intensity)


def heard_in(sample_reference: Reference, intensity: float = 1.0) -> Emotion:
    return Emotion("audio", None, None, sample_reference, intensity)


def pitch(samples: np.ndarray) -> float:
    """Hz of the loudest tone."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * SAMPLE_RATE / samples.size)


def loudness(samples: np.ndarray) -> float:
    """The amplitude of the tone."""
    return float(np.sqrt(2) * np.sqrt(np.mean(samples[np.abs(samples) > 0.01] ** 2)))


def never() -> bool:
    return False
