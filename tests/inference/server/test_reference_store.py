"""The folder of voice samples stays private and small."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_server import reference_store
from speech_server.reference_store import ReferenceStore


def sample(hertz: float) -> str:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hertz * np.arange(9_600) / 8_000), 8_000, format="WAV")
    return base64.b64encode(file.getvalue()).decode()


class TestReferenceStore:
    def test_equal_samples_are_one_private_file(self, tmp_path: Path) -> None:
        store = ReferenceStore(tmp_path)
        first, again, other = (store.keep(sample(hertz), "reference_audio") for hertz in (200, 200, 300))
        assert first == again
        assert first.path != other.path
        assert first.seconds == pytest.approx(1.2)
        assert Path(first.path).stat().st_mode & 0o777 == 0o600
        assert Path(first.path).parent.stat().st_mode & 0o777 == 0o700

    def test_the_least_recently_used_go_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reference_store, "_KEPT_FILES", 3)
        monkeypatch.setattr(reference_store, "_PRUNED_AT", 5)
        store = ReferenceStore(tmp_path)
        paths = {hertz: Path(store.keep(sample(hertz), "r").path) for hertz in (200, 220, 240, 260, 280)}
        assert all(path.exists() for path in paths.values())
        store.keep(sample(200), "r")  # used again, and the sixth to be kept
        assert [hertz for hertz, path in paths.items() if path.exists()] == [200, 260, 280]
        assert Path(store.keep(sample(220), "r").path).exists()

    def test_what_a_run_before_left_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reference_store, "_KEPT_FILES", 1)
        monkeypatch.setattr(reference_store, "_PRUNED_AT", 2)
        for hertz in (200, 220):
            ReferenceStore(tmp_path).keep(sample(hertz), "r")
        ReferenceStore(tmp_path).keep(sample(240), "r")
        assert len(list((tmp_path / "references").iterdir())) == 1
