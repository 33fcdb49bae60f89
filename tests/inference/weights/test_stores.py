"""The same on S3 (moto) and on OSS (the stand-in that verifies signatures), and what their refusals are told as."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from speech_server.weights.claim import newest
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.place import WeightsPlace, open_place, split_place
from speech_server.weights.pull import pull
from speech_server.weights.together import Stop
from tests.inference.weights.material import contents, place_at, push_set, told, write_set


def fetch(place, folder):
    return pull(place, WeightsFolder(folder), told()[0], Stop(), False)


class TestS3:
    def test_there_and_back(self, made, s3_url, tmp_path):
        place = open_place(s3_url, "set")
        push_set(place, made[0])
        push_set(place, made[0])
        assert newest(place)[0] == 1  # the second time there was nothing to claim
        fetch(place, tmp_path)
        place.close()
        assert contents(tmp_path) == contents(made[0])

    def test_of_two_creations_one_is(self, s3_url):
        place = open_place(s3_url, "set")
        assert place.create("filling-1.json", b"one")
        assert not place.create("filling-1.json", b"two")
        assert place.create("filling-1.json", b"one")  # the answer to the first was lost: it is the same call
        assert place.read("filling-1.json", 10) == b"one"
        place.close()

    def test_a_bucket_that_is_none(self, s3_url):
        place = open_place(s3_url.replace("s3://speech-", "s3://gone-"), "set")
        with pytest.raises(TransferError, match="no such bucket") as caught:
            place.check_there()
        place.close()
        assert caught.value.status == Exit.SETTINGS


class TestOss:
    def test_there_and_back(self, made, oss, oss_url, tmp_path):
        place = open_place(oss_url, "set")
        push_set(place, made[0])
        fetch(place, tmp_path)
        place.close()
        assert contents(tmp_path) == contents(made[0])
        assert oss.refusals == []
        assert oss.uploads == {}
        assert [request for request in oss.requests if "partNumber=3" in request]  # the large file went in parts

    def test_files_of_one_part_there_and_claims(self, oss, oss_url):
        place = open_place(oss_url, "set")
        assert place.create("filling-1.json", b"one")
        assert not place.create("filling-1.json", b"two")
        place.write("filling-1.json", b"three")
        assert place.read("filling-1.json", 10) == b"three"
        assert place.read("manifest.json", 10) is None
        place.close()
        assert oss.refusals == []


@contextmanager
def refusing(code: str, status: int) -> Iterator[str]:
    """An address at which every request is answered so."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>'.encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format, *args):  # noqa: A002 - the base class names it
            pass

        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815 - the base class names it

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-of-a-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


@pytest.mark.usefixtures("keys")
class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "status", "exits", "remedy"),
        [
            ("RequestTimeTooSkewed", 403, Exit.CLOCK, "this machine's clock is wrong"),
            ("AccessDenied", 403, Exit.ACCESS, "the role needs to list and get objects"),
            ("InvalidAccessKeyId", 403, Exit.ACCESS, "check the role or keys"),
            ("SignatureDoesNotMatch", 403, Exit.ACCESS, "check the role or keys"),
            ("ExpiredToken", 400, Exit.ACCESS, "check the role or keys"),
            ("NoSuchBucket", 404, Exit.SETTINGS, "check the store's URL"),
        ],
    )
    def test_each_is_named_with_its_remedy(self, code, status, exits, remedy, tmp_path):
        with refusing(code, status) as address:
            place = open_place(f"s3://bucket?region=us-west-2&endpoint={address}", "set")
            for call in (
                place.manifest,
                place.check_there,
                lambda: place.create("x", b"y"),
                lambda: fetch(place, tmp_path),
            ):
                with pytest.raises(TransferError, match=remedy) as caught:
                    call()
                assert caught.value.status == exits
                assert "secret-of-a-test" not in str(caught.value)
            place.close()

    def test_a_store_that_cannot_be_reached(self, monkeypatch):
        monkeypatch.setattr("speech_server.weights.place.PATIENCE", 1)
        place = open_place("s3://bucket?region=us-west-2&endpoint=http://127.0.0.1:9", "set")
        with pytest.raises(TransferError, match="cannot be used now") as caught:
            WeightsPlace.manifest(place)
        place.close()
        assert caught.value.status == Exit.UNREACHABLE

    def test_nobody_who_asks(self, monkeypatch, tmp_path):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setattr("speech_server.weights.place.PATIENCE", 1)
        place = open_place("s3://bucket?region=us-west-2&endpoint=http://127.0.0.1:9", "set")
        with pytest.raises(TransferError, match="no credentials") as caught:
            place.manifest()
        place.close()
        assert caught.value.status == Exit.ACCESS


class TestPlaces:
    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("s3://bucket/weights/a?region=us-west-2", ("s3://bucket?region=us-west-2", "a")),
            ("s3://bucket/weights/a", ("s3://bucket?region=eu-west-1", "a")),
            ("oss://bucket/weights/a/?region=cn-hangzhou", ("oss://bucket?region=cn-hangzhou", "a")),
            ("file:///srv/store/weights/indextts-2.5", ("file:///srv/store", "indextts-2.5")),
        ],
    )
    def test_a_place_is_a_store_and_a_name(self, url, found):
        assert split_place(url, {"AWS_REGION": "eu-west-1"}) == found

    @pytest.mark.parametrize(
        "url", ["s3://bucket", "s3://bucket/a", "s3://bucket/weights/", "file:///weights/a/b", "https://x/weights/a",
                "s3://bucket/weights/..", "s3://bucket/weights/.a", "s3://bucket/weights/a%20b"],
    )  # fmt: skip
    def test_anything_else_is_refused(self, url):
        with pytest.raises(TransferError) as caught:
            split_place(url, {})
        assert caught.value.status == Exit.SETTINGS


class TestSlowLine:
    def test_smaller_pieces_are_asked_for_where_they_come_slowly(self, place, monkeypatch):
        asked = []

        def slow(objects, key, *, start, length):
            asked.append(length)
            if length > 1 << 20:
                raise TimeoutError("operation timed out")
            return b"x" * length

        monkeypatch.setattr("speech_server.weights.place.obstore.get_range", slow)
        monkeypatch.setattr("speech_server.weights.place._FIRST_WAIT_SECONDS", 0.001)
        pieces = place.part("gpt.pth", 0, 8 << 20, Stop())
        assert sum(map(len, pieces)) == 8 << 20
        assert asked[:4] == [8 << 20, 4 << 20, 2 << 20, 1 << 20]


class TestSetsBeside:
    def test_names_are_apart(self, tmp_path):
        one, two = (place_at(tmp_path / "store", name) for name in ("v2", "v2.5"))
        push_set(one, write_set(tmp_path / "a", "2", large=1000))
        assert two.manifest() is None
        one.close()
        two.close()
