"""The listening socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from speech_server.listener import ListenError, listen


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


class TestUnix:
    def test_it_is_private_and_ready_when_it_appears(self, tmp_path: Path) -> None:
        path = tmp_path / "s.sock"
        listener = listen(f"unix:{path}")
        with listener.socket:
            assert path.stat().st_mode & 0o777 == 0o600
            assert answers(path)
            assert [entry.name for entry in tmp_path.iterdir()] == ["s.sock"]
            listener.unlink()
        assert not path.exists()

    def test_a_stale_one_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "s.sock"
        listen(f"unix:{path}").socket.close()
        assert not answers(path)
        with listen(f"unix:{path}").socket:
            assert answers(path)

    def test_one_that_another_server_took_over_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "s.sock"
        old = listen(f"unix:{path}")
        new = listen(f"unix:{path}")
        with old.socket, new.socket:
            old.unlink()
            assert answers(path)
            new.unlink()
            assert not path.exists()

    def test_a_file_in_the_way_is_not_destroyed(self, tmp_path: Path) -> None:
        path = tmp_path / "s.sock"
        path.write_text("precious")
        with pytest.raises(ListenError, match="no socket; move it away"):
            listen(f"unix:{path}")
        assert path.read_text() == "precious"

    def test_a_path_that_is_too_long_says_how_long_it_may_be(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match=r"at most \d+ bytes are possible"):
            listen(f"unix:{tmp_path / ('x' * 120)}")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match="No such file or directory; see SPEECH_LISTEN"):
            listen(f"unix:{tmp_path}/none/s.sock")


class TestTcp:
    def test_a_port_in_use_is_named(self) -> None:
        with listen("127.0.0.1:0").socket as first:
            port = first.getsockname()[1]
            with pytest.raises(ListenError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
                listen(f"127.0.0.1:{port}")
