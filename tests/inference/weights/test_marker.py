"""The note that a folder was verified: what it vouches for, and what the engine does with a folder."""

import os
import shutil
import time

import pytest

from speech_server.engines.indextts2.weights import WeightsError, check_weights
from speech_server.weights import marker
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.marker import unverified
from speech_server.weights.pull import pull
from speech_server.weights.together import Stop
from tests.inference.weights.material import told, write_set


@pytest.fixture
def folder(place, tmp_path):
    target = tmp_path / "weights"
    pull(place, WeightsFolder(target), told()[0], Stop(), durable=False)
    return target


def append(path, data):
    path.write_bytes(path.read_bytes() + data)


class TestVouching:
    def test_a_pulled_folder_is_vouched_for_and_loads(self, folder):
        assert unverified(folder) is None
        check_weights(folder, "2.5")

    def test_it_is_seen_without_reading_the_weights(self, folder):
        began = time.process_time()
        for _ in range(20):
            assert unverified(folder) is None
        assert (time.process_time() - began) / 20 < 0.02

    def test_a_folder_without_a_manifest_loads_as_it_is(self, tmp_path):
        check_weights(write_set(tmp_path / "own", large=100), "2.5")

    def test_the_copy_of_a_verified_folder_is_verified_if_its_times_are_kept(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "kept", copy_function=shutil.copy2)
        assert unverified(tmp_path / "kept") is None


class TestRefusing:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda folder: (folder / "VERIFIED").unlink(), "never verified"),
            (lambda folder: (folder / "VERIFIED").write_text("x"), "cannot be read"),
            (lambda folder: (folder / "VERIFIED").write_text("[]"), "another manifest"),
            (lambda folder: (folder / "manifest.json").write_bytes(b"{}"), "manifest of the weights"),
            (lambda folder: append(folder / "manifest.json", b"\n"), "another manifest"),
            (lambda folder: os.truncate(folder / "gpt.pth", 1000), "changed"),
            (lambda folder: os.utime(folder / "gpt.pth", (1, 1)), "changed"),
            (lambda folder: (folder / "s2mel.pth").unlink(), "changed"),
        ],
    )
    def test_a_folder_that_nothing_vouches_for_is_not_loaded(self, folder, change, reason):
        change(folder)
        assert reason in (unverified(folder) or "")
        with pytest.raises(WeightsError, match="weights verify"):
            check_weights(folder, "2.5")

    def test_after_a_start_only_what_was_forced_to_the_disk_counts(self, folder, place, tmp_path, monkeypatch):
        pull(place, WeightsFolder(tmp_path / "durable"), told()[0], Stop(), durable=True)
        (tmp_path / "boot").write_text("another-start")
        monkeypatch.setattr(marker, "_BOOT", tmp_path / "boot")
        assert unverified(tmp_path / "durable") is None
        assert "started anew" in (unverified(folder) or "")

    def test_a_link_in_place_of_a_file_is_a_change(self, folder, tmp_path):
        (folder / "gpt.pth").rename(tmp_path / "elsewhere")
        (folder / "gpt.pth").symlink_to(tmp_path / "elsewhere")
        assert unverified(folder) == "files have changed since they were verified"
