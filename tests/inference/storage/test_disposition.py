"""File names as headers: nothing breaks out of one."""

from __future__ import annotations

import pytest

from speech_server.storage.disposition import attachment


class TestAttachment:
    @pytest.mark.parametrize(
        ("name", "header"),
        [
            ("clip.wav", 'attachment; filename="clip.wav"'),
            ("", 'attachment; filename="download"'),
            ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
            ('a"; x="b\r\nSet-Cookie: c', 'attachment; filename="a_; x=_b__Set-Cookie_ c"'),
            ("你好.wav", "attachment; filename=\"__.wav\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD.wav"),
            ("\u202egpj.exe", 'attachment; filename="_gpj.exe"'),
            ("\ud800.wav", 'attachment; filename="_.wav"'),
        ],
    )
    def test_of(self, name: str, header: str) -> None:
        assert attachment(name) == header

    def test_it_is_bounded(self) -> None:
        assert len(attachment("好" * 10_000)) < 3000
