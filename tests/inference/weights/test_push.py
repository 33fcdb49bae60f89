"""From a folder to a store: what is sent, what is not sent again, and what is refused."""

import json
import shutil
import threading

import pytest

from speech_server.weights.claim import Pace, newest
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.manifest import Origin, parse
from speech_server.weights.place import WeightsPlace
from speech_server.weights.pull import pull
from speech_server.weights.push import push
from speech_server.weights.together import Stop
from tests.inference.weights.material import contents, place_at, push_set, told, write_set


@pytest.fixture
def source(tmp_path):
    return write_set(tmp_path / "source")


@pytest.fixture
def empty(tmp_path):
    place = place_at(tmp_path / "store")
    yield place
    place.close()


@pytest.fixture
def sent(monkeypatch):
    """The paths that were sent; the one that `sent.fails` names is not."""
    send = WeightsPlace.send

    class Sent(list):
        fails = None

    found = Sent()

    def spy(self, path, chunks, chunk_bytes, stop):
        if path == found.fails:
            raise TransferError(Exit.UNREACHABLE, "the network is gone")
        kept = send(self, path, chunks, chunk_bytes, stop)
        found.append(path)
        return kept

    monkeypatch.setattr(WeightsPlace, "send", spy)
    return found


class TestSending:
    def test_every_file_and_then_the_manifest(self, source, empty, tmp_path):
        listed = push_set(empty, source)
        folder = tmp_path / "store" / "weights" / "set"
        assert {file.path: file.sha256 for file in listed.files} == contents(source)
        data = (folder / "manifest.json").read_bytes()
        assert parse(data) == listed
        newest_file = max(folder.rglob("*"), key=lambda path: (path.stat().st_mtime_ns, "filling" not in path.name))
        assert newest_file.name in ("manifest.json", "filling-1.json")

    def test_hidden_files_stay_at_home(self, source, empty, tmp_path):
        (source / ".cache").mkdir()
        (source / ".cache" / "token").write_text("secret")
        (source / ".env").write_text("secret")
        push_set(empty, source)
        names = {path.name for path in (tmp_path / "store" / "weights").rglob("*")}
        assert not names & {"token", ".env", ".cache"}

    def test_the_origin_of_a_folder_without_a_manifest_is_what_its_user_says(self, source, empty):
        origin = Origin("IndexTeam/IndexTTS-2.5", "main", "other")
        listed = push(empty, WeightsFolder(source), origin, told()[0], threading.Event(), Pace())
        assert listed.origins == (origin,)
        assert {file.origin for file in listed.files} == {0}

    def test_a_pulled_folder_is_pushed_with_its_own_manifest(self, place, empty, tmp_path):
        pull(place, WeightsFolder(tmp_path / "w"), told()[0], Stop(), False)
        push_set(empty, tmp_path / "w")
        assert empty.manifest() == place.manifest()


class TestAgain:
    def test_what_is_there_is_not_sent_again(self, source, empty, sent):
        push_set(empty, source)
        sent.clear()
        push_set(empty, source)
        assert sent == []

    def test_after_a_failure_only_the_rest_is_sent(self, source, empty, sent):
        sent.fails = "config.yaml"  # the smallest comes last
        with pytest.raises(TransferError, match="the network is gone"):
            push_set(empty, source)
        assert empty.manifest() is None
        before, sent.fails = list(sent), None
        sent.clear()
        push_set(empty, source)
        assert before
        assert "config.yaml" in sent
        assert not set(before) & set(sent)
        assert empty.manifest() is not None

    def test_an_object_that_somebody_changed_is_sent_again(self, source, empty, sent, tmp_path):
        push_set(empty, source)
        sent.clear()
        changed = tmp_path / "store" / "weights" / "set" / "feat1.pt"
        changed.write_bytes(b"x" * changed.stat().st_size)
        (changed.parent / "feat2.pt").unlink()
        push_set(empty, source)
        assert sorted(sent) == ["feat1.pt", "feat2.pt"]
        assert changed.read_bytes() == (source / "feat1.pt").read_bytes()

    def test_a_file_that_changed_at_home_after_a_failure_is_sent(self, source, empty, sent):
        sent.fails = "gpt.pth"
        with pytest.raises(TransferError, match="the network is gone"):
            push_set(empty, source)
        (source / "feat1.pt").write_bytes(b"another feature")
        sent.fails = None
        sent.clear()
        listed = push_set(empty, source)
        assert "feat1.pt" in sent
        assert {file.path: file.sha256 for file in listed.files} == contents(source)


class TestRefusing:
    def test_weights_that_nodes_may_be_reading_are_never_changed(self, source, empty):
        push_set(empty, source)
        before = empty.manifest()
        (source / "feat1.pt").write_bytes(b"another feature")
        with pytest.raises(TransferError, match="push under another name") as caught:
            push_set(empty, source)
        assert caught.value.status == Exit.CONTENT
        assert empty.manifest() == before

    def test_a_file_that_changes_while_it_is_sent(self, source, empty, monkeypatch):
        send = WeightsPlace.send

        def changed(self, path, chunks, chunk_bytes, stop):
            if path == "gpt.pth":
                with (source / path).open("r+b") as file:
                    file.write(b"changed")
            return send(self, path, chunks, chunk_bytes, stop)

        monkeypatch.setattr(WeightsPlace, "send", changed)
        with pytest.raises(TransferError, match=r"gpt\.pth was changed while it was sent"):
            push_set(empty, source)
        assert empty.manifest() is None
        assert empty.kept("gpt.pth") is None

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda folder: (folder / "codec.pth").unlink(), "neither version"),
            (lambda folder: (folder / "s2mel.pth").unlink(), r"s2mel\.pth is missing"),
            (lambda folder: (folder / "config.yaml").write_text("version: 2.0\n"), "config.yaml says version 2.0"),
            (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "is a link"),
            (lambda folder: (folder / "a b").write_text(""), "cannot be stored under this name"),
            (lambda folder: (folder / "GPT.pth").write_text(""), "one file on some disks"),
            (lambda folder: shutil.rmtree(folder), "no such folder"),
        ],
    )
    def test_a_folder_that_is_no_set(self, source, empty, change, problem):
        change(source)
        with pytest.raises(TransferError, match=problem):
            push_set(empty, source)
        assert newest(empty) == (0, None)

    def test_a_folder_that_is_not_what_its_own_manifest_says(self, place, empty, tmp_path):
        pull(place, WeightsFolder(tmp_path / "w"), told()[0], Stop(), False)
        (tmp_path / "w" / "feat1.pt").write_bytes(b"mine")
        with pytest.raises(TransferError, match=r"not what its manifest\.json says \(feat1\.pt\)"):
            push_set(empty, tmp_path / "w")

    def test_nothing_of_a_folder_is_in_a_claim_but_names_and_sums(self, source, empty, tmp_path):
        push_set(empty, source)
        claim = json.loads((tmp_path / "store" / "weights" / "set" / "filling-1.json").read_text())
        assert set(claim) == {"holder", "beat", "expires", "held", "stage", "done", "total", "sent"}
        assert claim["held"] is False
