"""Manifests: what is written is read, and what a stranger wrote is refused."""

import json
import time

import pytest

from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.manifest import PART_BYTES, File, Manifest, Origin, encode, is_path, name_clash, parse

SUM = "ab" * 32


def file(path="gpt.pth", size=5, parts=(SUM,), **changes):
    return {"path": path, "size": size, "sha256": SUM, "parts": list(parts), "origin": None, **changes}


def document(*files, **changes):
    value = {"format": 1, "version": "2.5", "part_bytes": PART_BYTES, "origins": [], "files": list(files), **changes}
    return json.dumps(value).encode()


class TestReadingBack:
    MANIFEST = Manifest(
        "2.5",
        PART_BYTES,
        (Origin("https://huggingface.co/IndexTeam/IndexTTS-2.5", "0" * 40, "other"),),
        (File("a/b.pth", PART_BYTES + 1, SUM, (SUM, SUM), 0), File("empty", 0, SUM, (), None)),
    )

    def test_what_was_written_is_read(self):
        assert parse(encode(self.MANIFEST)) == self.MANIFEST

    def test_the_order_of_files_does_not_change_the_bytes(self):
        turned = Manifest("2.5", PART_BYTES, self.MANIFEST.origins, self.MANIFEST.files[::-1])
        assert encode(turned) == encode(self.MANIFEST)

    def test_sizes_are_summed(self):
        assert self.MANIFEST.size == PART_BYTES + 1


class TestHostileManifests:
    @pytest.mark.parametrize(
        "path",
        [
            "/etc/passwd", "../up", "a/../../up", "a/./b", "a//b", "a/", "", ".", "..", ".partial/x", "a/.hidden",
            "a\\b", "C:/x", "a\x00b", "a\nb", "ａ", "a b", "%2e%2e/x", "manifest.json", "VERIFIED", "verified",
            "filling-3.json", "x" * 301, 5, None, ["a"],
        ],
    )  # fmt: skip
    def test_a_path_that_could_leave_the_folder_is_refused(self, path):
        with pytest.raises(TransferError, match=r"files\[0\]\.path") as caught:
            parse(document(file(path)))
        assert caught.value.status == Exit.CONTENT

    @pytest.mark.parametrize("size", [-1, 1 << 62, 1.5, True, "5", None, float("nan")])
    def test_a_size_that_is_none_is_refused(self, size):
        with pytest.raises(TransferError, match=r"files\[0\]\.size"):
            parse(document(file(size=size)))

    @pytest.mark.parametrize(
        "paths", [("Gpt.pth", "gpt.pth"), ("a", "a/b"), ("A", "a/b"), ("a/b/c", "a/B"), ("a", "a")]
    )
    def test_names_that_are_one_on_some_disks_are_refused(self, paths):
        assert name_clash(paths) is not None
        with pytest.raises(TransferError, match="files has"):
            parse(document(*(file(path) for path in paths)))

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"format": 2}, "format is 2"),
            ({"format": None}, "format is None"),
            ({"version": "3"}, "version is '3'"),
            ({"version": ["2"]}, "version is"),
            ({"part_bytes": 1}, "part_bytes is 1"),
            ({"part_bytes": 1 << 40}, "part_bytes"),
            ({"files": {}}, "files is"),
            ({"files": []}, "files is empty"),
            ({"files": [5]}, r"files\[0\] is 5"),
            ({"files": [file()] * 1001}, "1,001 entries"),
            ({"files": [file(sha256="AB" * 32)]}, "sha256"),
            ({"files": [file(parts=["x"])]}, "parts"),
            ({"files": [file(parts=[])]}, "parts has 0 sums"),
            ({"files": [file(parts=[SUM, SUM])]}, "parts has 2 sums"),
            ({"files": [file(origin=0)]}, "origin is 0"),
            ({"files": [file(origin=True)]}, "origin is True"),
            ({"origins": [{"repo": "a\x1b[2J", "revision": "", "licence": ""}]}, r"origins\[0\]\.repo"),
            ({"origins": "x"}, "origins is"),
        ],
    )
    def test_the_field_and_its_value_are_named(self, change, named):
        with pytest.raises(TransferError, match=named):
            parse(document(**{"files": [file()], **change}))

    def test_more_than_any_disk_has_is_refused(self):
        size = 60 << 30
        parts = [SUM] * (size // PART_BYTES)
        with pytest.raises(TransferError, match="bytes together"):
            parse(document(*(file(f"f{number}", size, parts) for number in range(5))))

    @pytest.mark.parametrize("data", [b"", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b"{", b" " * ((8 << 20) + 1)])
    def test_what_is_no_manifest_is_refused_at_once(self, data):
        began = time.monotonic()
        with pytest.raises(TransferError, match="the manifest of the weights"):
            parse(data)
        assert time.monotonic() - began < 5

    def test_usual_names_are_taken(self):
        for path in ("gpt.pth", "hf_cache/w2v-bert-2.0/model.safetensors", "qwen0.6bemo4-merge/config.json", "LICENSE"):
            assert is_path(path)
