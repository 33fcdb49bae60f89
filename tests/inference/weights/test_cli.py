"""`indextts2 weights` from its arguments to its exit status."""

import io

import pytest

from speech_server.cli.main import main
from speech_server.weights.failure import Exit
from speech_server.weights.progress import Progress, gigabytes, progress_line
from tests.inference.weights.material import contents, write_set


class TestCommands:
    def test_push_pull_verify(self, made, tmp_path, capsys):
        url = f"{(tmp_path / 'store').as_uri()}/weights/a"
        assert main(["weights", "push", str(made[0]), url, "--origin", "IndexTeam/IndexTTS-2.5@main"]) == Exit.DONE
        assert main(["weights", "pull", url, str(tmp_path / "w")]) == Exit.DONE
        assert main(["weights", "verify", str(tmp_path / "w")]) == Exit.DONE
        assert contents(tmp_path / "w") == contents(made[0])
        out = capsys.readouterr().out.splitlines()
        assert out[0] == "weights/a/ holds version 2.5: 18 files, 0.02 GB"
        assert out[2] == f"{tmp_path / 'w'} holds version 2.5: 18 files, 0.02 GB, verified"

    def test_from_a_hub(self, hubs, tmp_path, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = f"modelscope://IndexTeam/IndexTTS-2?endpoint={hubs('2', modelscope=True).url}"
        assert main(["weights", "pull", url, str(tmp_path)]) == Exit.DONE
        assert main(["weights", "verify", str(tmp_path)]) == Exit.DONE

    def test_each_wrong_file_is_a_line(self, made, tmp_path, capsys):
        assert main(["weights", "pull", f"{made[1].as_uri()}/weights/set", str(tmp_path)]) == Exit.DONE
        (tmp_path / "feat1.pt").write_bytes(b"x")
        capsys.readouterr()
        assert main(["weights", "verify", str(tmp_path)]) == Exit.CONTENT
        told = capsys.readouterr()
        assert told.out.startswith("feat1.pt: has 1 bytes, not ")
        assert "1 of 18 files" in told.err

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            (["pull", "s3://bucket", "w"], Exit.SETTINGS),
            (["pull", "hf://x", "w"], Exit.SETTINGS),
            (["verify", "/nonexistent"], Exit.SETTINGS),
            (["push", ".", "file:///tmp/x/weights/a", "--licence", "MIT"], Exit.SETTINGS),
            (["push", ".", "file:///tmp/x/weights/a", "--origin", "x"], Exit.SETTINGS),
        ],
    )
    def test_wrong_arguments(self, arguments, status, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(write_set(tmp_path / "w", large=100))
        if arguments[0] == "push":
            arguments[2] = f"{(tmp_path / 'store').as_uri()}/weights/a"
        assert main(["weights", *arguments]) == status
        assert capsys.readouterr().err.startswith("indextts2: ")

    def test_nothing_there(self, tmp_path, capsys):
        assert main(["weights", "pull", f"{tmp_path.as_uri()}/weights/a", str(tmp_path / "w")]) == Exit.ABSENT
        assert "push weights there" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestProgress:
    def test_a_terminal_has_one_line_that_is_rewritten(self):
        stream, clock = Terminal(), iter(range(100))
        progress = Progress(stream, lambda: next(clock))
        progress.begin("pull", 2_000_000_000)
        progress.moved(1_000_000_000)
        progress.say("a line of its own")
        assert stream.getvalue() == (
            "\r\x1b[Kpull: 1.00 of 2.00 GB (50 %), 1000 MB/s, 1 s left\r\x1b[Ka line of its own\n"
        )

    def test_a_log_has_a_line_now_and_then(self):
        stream, now = io.StringIO(), [0.0]
        progress = Progress(stream, lambda: now[0])
        progress.begin("pull", 100_000_000)
        for second in range(1, 31):
            now[0] = second
            progress.moved(1_000_000)
        assert stream.getvalue().splitlines() == [
            "pull: 0.01 of 0.10 GB (10 %), 1 MB/s, 90 s left",
            "pull: 0.02 of 0.10 GB (20 %), 1 MB/s, 80 s left",
            "pull: 0.03 of 0.10 GB (30 %), 1 MB/s, 70 s left",
        ]

    def test_figures(self):
        assert progress_line("pull", 0, 0, 0) == "pull: 0.00 of 0.00 GB, 0 MB/s"
        assert (gigabytes(9_990_000), gigabytes(12_345_678)) == ("9,990,000 bytes", "0.01 GB")
