"""Reading a folder against its manifest."""

import os

import pytest

from speech_server.engines.indextts2.weights import WeightsError, check_weights
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.pull import pull
from speech_server.weights.together import Stop
from speech_server.weights.verify import verify
from tests.inference.weights.material import told, write_set


@pytest.fixture
def folder(place, tmp_path):
    pull(place, WeightsFolder(tmp_path / "w"), told()[0], Stop(), False)
    return tmp_path / "w"


def wrong(folder):
    return verify(WeightsFolder(folder), told()[0], Stop()).wrong


class TestVerdict:
    def test_a_right_folder_is_marked(self, folder):
        (folder / "VERIFIED").unlink()
        assert wrong(folder) == ()
        check_weights(folder, "2.5")

    def test_each_wrong_file_is_named_with_what_is_wrong(self, folder):
        with (folder / "gpt.pth").open("r+b") as file:
            file.seek(10_000_000)
            file.write(b"flip")
        os.truncate(folder / "s2mel.pth", 3)
        (folder / "codec.pth").unlink()
        found = wrong(folder)
        assert [line.partition(":")[0] for line in found] == ["codec.pth", "gpt.pth", "s2mel.pth"]
        assert "missing" in found[0]
        assert "wrong sha256" in found[1]
        assert "has 3 bytes" in found[2]
        with pytest.raises(WeightsError, match="never verified"):
            check_weights(folder, "2.5")

    def test_a_change_that_keeps_size_and_time_is_found(self, folder):
        times = (folder / "gpt.pth").stat()
        with (folder / "gpt.pth").open("r+b") as file:
            file.write(b"flip")
        os.utime(folder / "gpt.pth", ns=(times.st_atime_ns, times.st_mtime_ns))
        check_weights(folder, "2.5")  # what is seen in milliseconds is not everything
        assert wrong(folder) == ("gpt.pth: wrong sha256: its content is not what it should be",)

    def test_without_a_manifest_nothing_can_be_said(self, tmp_path):
        with pytest.raises(TransferError, match="nothing says what is right") as caught:
            wrong(write_set(tmp_path, large=100))
        assert caught.value.status == Exit.ABSENT

    def test_no_folder(self, tmp_path):
        with pytest.raises(TransferError, match="no such folder"):
            wrong(tmp_path / "none")
