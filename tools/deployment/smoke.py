"""A request that speaks, and whether what came back is speech."""

from __future__ import annotations

import array
import math
import subprocess
import sys
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path

from tools.checkout import Checkout

TEXT = "Good morning. 早上好。"
_LEAST_SECONDS = 0.5
# Of full scale; the quietest speech of any engine is far above it, and noise of an empty clip below.
_LEAST_RMS = 0.003
SECONDS = 300


def speak(checkout: Checkout, url: str, environment: Mapping[str, str]) -> str | None:
    """Has `TEXT` spoken by the service at `url` with the key in INDEXTTS2_API_KEY; gives why it failed, None if not."""
    if not environment.get("INDEXTTS2_API_KEY"):
        return "INDEXTTS2_API_KEY is not set, so nobody could ask the service to speak"
    with tempfile.TemporaryDirectory() as directory:
        sound = Path(directory) / "smoke.wav"
        command = [str(checkout.venv / "bin" / "indextts2"), "say", TEXT, "-o", str(sound)]
        try:
            spoken = subprocess.run(
                command,
                env={**environment, "INDEXTTS2_URL": url},
                cwd=checkout.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{url} did not answer within {SECONDS} s"
        if spoken.returncode != 0:
            return " ".join(spoken.stderr.split())[-400:] or f"indextts2 say ended with status {spoken.returncode}"
        return problem(sound)


def problem(sound: Path) -> str | None:
    """Why a WAV file is no speech; None if it may be."""
    try:
        with wave.open(str(sound), "rb") as file:
            if file.getsampwidth() != 2:
                return f"the answer has {8 * file.getsampwidth()}-bit samples, not 16"
            rate, frames = file.getframerate(), file.getnframes()
            samples = array.array("h", file.readframes(frames))
    except (OSError, EOFError, wave.Error) as error:
        return f"the answer is no WAV file ({error})"
    if sys.byteorder == "big":
        samples.byteswap()
    if frames < _LEAST_SECONDS * rate:
        return f"the answer is {frames / rate:.2f} s long, too short for {TEXT!r}"
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples)) / 32768
    return None if rms >= _LEAST_RMS else f"the answer is silence (level {rms:.5f} of 1)"
