"""From a store to a folder: whole, resumed, damaged, contended, and without room."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from speech_server.engines.indextts2.weights import WeightsError, check_weights
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.manifest import encode, parse
from speech_server.weights.place import WeightsPlace
from speech_server.weights.pull import pull
from speech_server.weights.together import Stop, StoppedError
from tests.inference.weights.material import contents, place_at, push_set, told, write_set

# Ends like `kill -9` when so many parts have been read.
KILLED = """
import os, sys, threading
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.place import WeightsPlace, open_place
from speech_server.weights.progress import Progress
from speech_server.weights.pull import pull
from pathlib import Path
read, lock, left = WeightsPlace.part, threading.Lock(), [int(sys.argv[3])]
def part(*arguments):
    with lock:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)
    return read(*arguments)
WeightsPlace.part = part
pull(open_place(sys.argv[1], "set"), WeightsFolder(Path(sys.argv[2])), Progress(sys.stderr), threading.Event(), False)
"""


def fetch(place, folder: Path, stream=None, durable: bool = False):
    progress, said = told()
    listed = pull(place, WeightsFolder(folder), progress, Stop(), durable)
    return listed, said.getvalue()


@pytest.fixture
def read_parts(monkeypatch):
    """The parts that were read from the store: (path, start)."""
    found = []
    read = WeightsPlace.part

    def part(self, path, start, length, stop):
        found.append((path, start))
        return read(self, path, start, length, stop)

    monkeypatch.setattr(WeightsPlace, "part", part)
    return found


class TestWhole:
    def test_the_folder_is_the_one_that_was_pushed(self, made, place, tmp_path):
        listed, _ = fetch(place, tmp_path / "w", durable=True)
        assert contents(tmp_path / "w") == contents(made[0])
        assert listed.size == sum(path.stat().st_size for path in made[0].rglob("*") if path.is_file())
        assert not (tmp_path / "w" / ".partial").exists()
        check_weights(tmp_path / "w", "2.5")

    def test_the_second_time_nothing_is_read(self, place, tmp_path, read_parts):
        fetch(place, tmp_path)
        read_parts.clear()
        _, said = fetch(place, tmp_path, durable=True)
        assert read_parts == []
        assert "already, verified" in said

    def test_what_an_operator_put_there_is_kept_if_it_is_right(self, made, place, tmp_path, read_parts):
        shutil.copytree(made[0], tmp_path / "w")
        (tmp_path / "w" / "feat1.pt").write_bytes(b"x" * (made[0] / "feat1.pt").stat().st_size)
        fetch(place, tmp_path / "w")
        assert read_parts == [("feat1.pt", 0)]
        assert contents(tmp_path / "w") == contents(made[0])

    def test_other_weights_replace_it_and_leave_nothing_behind(self, place, tmp_path):
        other = place_at(tmp_path / "store", "v2")
        push_set(other, write_set(tmp_path / "source", "2", large=2000))
        fetch(other, tmp_path / "w")
        other.close()
        (tmp_path / "w" / "mine.txt").write_text("not of any manifest")
        fetch(place, tmp_path / "w")
        assert "bpe.model" not in contents(tmp_path / "w")
        assert (tmp_path / "w" / "mine.txt").exists()
        check_weights(tmp_path / "w", "2.5")


class TestKilled:
    @pytest.mark.parametrize("parts", [1, 9])
    def test_the_next_pull_goes_on(self, made, place, tmp_path, read_parts, parts):
        target = tmp_path / "w"
        command = [sys.executable, "-c", KILLED, made[1].as_uri(), str(target), str(parts)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "inference")}
        assert subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode == -9
        right = contents(made[0])
        left = contents(target)
        assert {path: right[path] for path in left} == left  # what has its name is whole and right
        with pytest.raises(WeightsError):
            check_weights(target, "2.5")
        listed, _ = fetch(place, target)
        total = sum(len(file.parts) for file in listed.files)
        assert total - parts <= len(read_parts) <= total
        assert contents(target) == right
        check_weights(target, "2.5")

    def test_parts_that_were_written_are_not_read_again(self, made, place, tmp_path, read_parts):
        large = "gpt.pth"
        (tmp_path / ".partial").mkdir()
        half = (made[0] / large).read_bytes()
        (tmp_path / ".partial" / large).write_bytes(half[: 8 << 20] + b"\0" * (len(half) - (8 << 20)))
        fetch(place, tmp_path)
        assert (large, 0) not in read_parts
        assert (large, 8 << 20) in read_parts


class TestDamaged:
    def test_a_part_that_was_damaged_on_its_way_is_read_again(self, made, place, tmp_path, monkeypatch):
        read, spoilt = WeightsPlace.part, []

        def part(self, path, start, length, stop):
            pieces = read(self, path, start, length, stop)
            if path == "gpt.pth" and not spoilt:
                spoilt.append(start)
                return [b"\0" * length]
            return pieces

        monkeypatch.setattr(WeightsPlace, "part", part)
        fetch(place, tmp_path)
        assert spoilt
        assert contents(tmp_path) == contents(made[0])

    @pytest.mark.parametrize("spoil", ["flip", "truncate", "delete"])
    def test_what_is_wrong_in_the_store_never_gets_its_name(self, made, tmp_path, spoil):
        shutil.copytree(made[1], tmp_path / "store")
        spoilt = tmp_path / "store" / "weights" / "set" / "gpt.pth"
        if spoil == "flip":
            with spoilt.open("r+b") as file:
                file.seek(9 << 20)
                file.write(b"flip")
        elif spoil == "truncate":
            os.truncate(spoilt, 10 << 20)
        else:
            spoilt.unlink()
        place = place_at(tmp_path / "store")
        with pytest.raises(TransferError, match=r"weights/set/gpt\.pth") as caught:
            fetch(place, tmp_path / "w")
        place.close()
        assert caught.value.status == (Exit.ABSENT if spoil == "delete" else Exit.CONTENT)
        assert not (tmp_path / "w" / "gpt.pth").exists()
        with pytest.raises(WeightsError, match="never verified"):
            check_weights(tmp_path / "w", "2.5")

    def test_a_manifest_that_points_out_of_the_folder_writes_nothing(self, made, tmp_path):
        shutil.copytree(made[1], tmp_path / "store")
        path = tmp_path / "store" / "weights" / "set" / "manifest.json"
        path.write_text(path.read_text().replace('"gpt.pth"', '"../gpt.pth"'))
        place = place_at(tmp_path / "store")
        with pytest.raises(TransferError, match="no path that stays inside"):
            fetch(place, tmp_path / "w")
        place.close()
        assert not (tmp_path / "w").exists()
        assert not (tmp_path / "gpt.pth").exists()

    @pytest.mark.parametrize("link", ["hf_cache", ".partial", "hf_cache/bigvgan", ".lock", ".partial/gpt.pth"])
    def test_a_link_in_the_folder_is_not_followed(self, place, tmp_path, link):
        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / "w" / link).parent.mkdir(parents=True)
        (tmp_path / "w" / link).symlink_to(outside if "." not in link[1:] else outside / "file")
        with pytest.raises(TransferError, match="symbolic link") as caught:
            fetch(place, tmp_path / "w")
        assert caught.value.status == Exit.DISK
        assert list(outside.iterdir()) == []


class TestNotAlone:
    def test_a_second_pull_waits_for_the_first(self, place, tmp_path, read_parts):
        tmp_path.joinpath(".lock").touch()
        handle = os.open(tmp_path / ".lock", os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX)
        waits = threading.Event()
        progress, said = told()
        progress.say = lambda text: (said.write(text), waits.set())  # type: ignore[method-assign]
        arguments = (place, WeightsFolder(tmp_path), progress, Stop(), False)
        thread = threading.Thread(target=pull, args=arguments)
        thread.start()
        assert waits.wait(30)
        assert "another program works on" in said.getvalue()
        assert read_parts == []
        os.close(handle)
        thread.join()
        check_weights(tmp_path, "2.5")

    def test_one_that_shall_stop_stops(self, place, tmp_path):
        stop = Stop()
        stop.set()
        with pytest.raises(StoppedError):
            pull(place, WeightsFolder(tmp_path), told()[0], stop, False)


class TestNoRoom:
    def test_a_disk_that_is_too_small_is_told_in_figures_before_a_byte_is_written(self, place, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000_000))
        with pytest.raises(
            TransferError, match=r"0\.02 GB are still to come, and the disk has 0\.01 GB free"
        ) as caught:
            fetch(place, tmp_path)
        assert caught.value.status == Exit.DISK
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]

    def test_what_is_there_already_needs_no_room(self, place, tmp_path, monkeypatch):
        fetch(place, tmp_path)
        (tmp_path / "VERIFIED").unlink()
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        fetch(place, tmp_path)
        check_weights(tmp_path, "2.5")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    def test_a_disk_that_fills_up_meanwhile_is_told(self, place, tmp_path, monkeypatch):
        full = os.open("/dev/full", os.O_WRONLY)
        write = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda _, data, at: write(full, data, at))
        with pytest.raises(TransferError, match="the disk is full") as caught:
            fetch(place, tmp_path)
        os.close(full)
        assert caught.value.status == Exit.DISK

    def test_a_folder_that_may_not_be_written_is_told(self, place, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(TransferError) as caught:
            fetch(place, tmp_path / "file" / "w")
        assert caught.value.status == Exit.DISK


class TestSecondVersionOfAManifest:
    def test_the_bytes_that_are_in_the_store_are_those_in_the_folder(self, place, tmp_path):
        fetch(place, tmp_path)
        data = (tmp_path / "manifest.json").read_bytes()
        assert data == place.manifest() == encode(parse(data))
