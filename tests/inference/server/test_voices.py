"""`/v1/audio/voices` and speech with registered voices, on real servers; two of them where replicas matter."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile

from tests.inference.server.conftest import StartServer
from tests.inference.server.running_server import KEY, OTHER_KEY, RunningServer, until
from tests.inference.server.strict_engine import tone_of
from tests.inference.storage.oss_server import OssBucket, oss_server
from tests.inference.voices.speech import NOT_SPEECH, sound_file, speech_file, spoken

ADMIN_KEY = "key-of-the-administrator"
CONSENT = "She agreed in her contract of 2026-03-01."
SOURCE = "Recorded in our own studio."
VOICES = "/v1/audio/voices"


def keys() -> dict[str, Any]:
    return {"first": KEY, "other": OTHER_KEY, "root": {"key": ADMIN_KEY, "admin": True}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("voices")
    (folder / "keys.json").write_text(json.dumps(keys()))
    running = RunningServer(folder, store=(folder / "objects").as_uri(), public_url="http://speech")
    yield running
    running.kill()


def add(server: RunningServer, name: str, audio: bytes | None = None, key: str = KEY, **fields: str) -> httpx.Response:
    form = {"name": name, "consent": CONSENT, "source": SOURCE, **fields}
    with server.client(key) as client:
        return client.post(VOICES, data=form, files={"audio_sample": ("a.wav", audio or speech_file())})


def ask(server: RunningServer, method: str, path: str, key: str = KEY, **more: Any) -> httpx.Response:
    with server.client(key) as client:
        return client.request(method, path, **more)


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]


def hertz_of(response: httpx.Response) -> float:
    assert response.status_code == 200, response.text
    samples, rate = soundfile.read(io.BytesIO(response.content))
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / samples.size)


def until_done(request: Callable[[], httpx.Response]) -> httpx.Response:
    """As a client does it: again after each 503, which must say when. A deletion whose answer was lost is done too."""
    while (answer := request()).status_code == 503:
        assert answer.json()["error"]["code"] == "store_unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    assert answer.status_code in (200, 404), answer.text
    return answer


class TestLifeOfAVoice:
    def test_added_used_listed_and_deleted(self, server: RunningServer) -> None:
        added = add(server, "主播 小红")
        assert added.status_code == 200, added.text
        voice = added.json()
        assert (voice["object"], voice["name"], voice["owner"]) == ("audio.voice", "主播 小红", "first")
        assert (voice["consent"], voice["source"], voice["scope"]) == (CONSENT, SOURCE, "private")
        assert add(server, "主播 小红").json() == voice  # a repeated request
        wanted = tone_of(None, voice["sha256"])
        for name in (voice["id"], "主播 小红"):
            spoken_with = server.generate("a voice of one's own is heard", voice=name, seed=1)
            assert hertz_of(spoken_with) == pytest.approx(wanted, abs=1.5)
        assert ask(server, "GET", f"{VOICES}/{voice['id']}").json() == voice
        assert voice in ask(server, "GET", VOICES).json()["data"]
        gone = ask(server, "DELETE", f"{VOICES}/{voice['id']}")
        assert gone.json() == {"id": voice["id"], "object": "audio.voice.deleted", "deleted": True}
        assert error_of(ask(server, "DELETE", f"{VOICES}/{voice['id']}")) == (404, "voice_not_found", "voice")
        assert error_of(server.generate("again", voice=voice["id"])) == (404, "voice_not_found", "voice")
        assert voice not in ask(server, "GET", VOICES).json()["data"]

    def test_the_unmodified_client_adds_and_speaks(self, server: RunningServer) -> None:
        transport = httpx.HTTPTransport(uds=str(server.socket))
        with openai.OpenAI(
            base_url="http://speech/v1", api_key=KEY, http_client=httpx.Client(transport=transport)
        ) as client:
            voice = client.audio.voices.create(
                name="openai voice",
                consent=CONSENT,
                type="audio_sample",
                audio_sample=("sample.wav", speech_file("female"), "audio/wav"),
                extra_body={"source": SOURCE},
            )
            clip = client.audio.speech.create(
                model="tts-1", voice={"id": voice.id}, input="hello from there", response_format="wav"
            )
            assert clip.read().startswith(b"RIFF")
            with pytest.raises(openai.NotFoundError) as missing:
                client.audio.speech.create(model="tts-1", voice="nobody", input="hello")
            assert missing.value.code == "voice_not_found"
            with pytest.raises(openai.BadRequestError) as refused:
                client.audio.voices.create(name="words", type="prompt", prompt="a warm voice")
            assert "prompt" in refused.value.message
        assert ask(server, "DELETE", f"{VOICES}/{voice.id}").status_code == 200


class TestTenants:
    def test_another_clients_private_voice_is_nobodys(self, server: RunningServer) -> None:
        voice = add(server, "mine").json()
        for name in (voice["id"], "mine"):
            assert error_of(server.generate("stolen", key=OTHER_KEY, voice=name)) == (404, "voice_not_found", "voice")
            for method in ("GET", "DELETE"):
                assert error_of(ask(server, method, f"{VOICES}/{name}", OTHER_KEY)) == (404, "voice_not_found", "voice")
        assert voice["id"] not in ask(server, "GET", VOICES, OTHER_KEY).text
        assert voice["id"] not in ask(server, "GET", f"{VOICES}/audit", OTHER_KEY).text
        assert add(server, "mine", speech_file("female"), OTHER_KEY).status_code == 200
        for key in (KEY, OTHER_KEY):
            assert ask(server, "DELETE", f"{VOICES}/mine", key).status_code == 200

    def test_a_shared_one_is_spoken_with_by_all_and_deleted_by_its_owner(self, server: RunningServer) -> None:
        voice = add(server, "everyone", scope="shared").json()
        spoken_with = server.generate("for everyone", key=OTHER_KEY, voice=voice["id"])
        assert hertz_of(spoken_with) == pytest.approx(tone_of(None, voice["sha256"]), abs=1.5)
        seen = ask(server, "GET", f"{VOICES}/{voice['id']}", OTHER_KEY).json()
        assert (seen["owner"], seen["consent"], seen["source"]) == (None, None, None)
        refused = ask(server, "DELETE", f"{VOICES}/{voice['id']}", OTHER_KEY)
        assert error_of(refused) == (403, "not_the_owner", "voice")
        assert ask(server, "DELETE", f"{VOICES}/{voice['id']}", ADMIN_KEY).status_code == 200

    def test_the_audit_is_ones_own_and_an_admins(self, server: RunningServer) -> None:
        voice = add(server, "audited").json()
        ask(server, "DELETE", f"{VOICES}/{voice['id']}", ADMIN_KEY)
        own = [entry for entry in ask(server, "GET", f"{VOICES}/audit").json()["data"] if entry["voice"] == voice["id"]]
        assert [(entry["action"], entry["by"]) for entry in own] == [("added", "first"), ("deleted", "root")]
        assert (own[0]["sha256"], own[0]["consent"]) == (voice["sha256"], CONSENT)
        for client in ("first", "*"):
            path = f"{VOICES}/audit?client={client}&limit=1000"
            assert own[0] in ask(server, "GET", path, ADMIN_KEY).json()["data"]
            if client != "first":
                assert error_of(ask(server, "GET", path)) == (403, "not_an_admin", "client")
            assert error_of(ask(server, "GET", path, OTHER_KEY)) == (403, "not_an_admin", "client")

    def test_pages(self, server: RunningServer) -> None:
        ids = [add(server, f"page {number}").json()["id"] for number in range(3)]
        first = ask(server, "GET", f"{VOICES}?limit=2").json()
        assert [voice["id"] for voice in first["data"]] == [ids[2], ids[1]]
        assert first["has_more"]
        rest = ask(server, "GET", f"{VOICES}?limit=100&after={first['last_id']}").json()
        assert rest["data"][0]["id"] == ids[0]
        assert not rest["has_more"]
        entries = ask(server, "GET", f"{VOICES}/audit?limit=1").json()
        following = ask(server, "GET", f"{VOICES}/audit", params={"limit": 1, "after": entries["last_id"]}).json()
        assert following["data"][0]["id"] > entries["data"][0]["id"]
        for voice_id in ids:
            ask(server, "DELETE", f"{VOICES}/{voice_id}")


class TestHostile:
    @pytest.mark.parametrize(
        ("form", "audio", "expected"),
        [
            ({}, None, (400, "missing_parameter", "name")),
            ({"name": "n"}, None, (400, "missing_parameter", "consent")),
            ({"name": "n", "consent": CONSENT}, None, (400, "missing_parameter", "source")),
            ({"name": "n", "consent": CONSENT, "source": SOURCE, "pitch": "1"}, None, (400, "unknown_parameter", None)),
            ({"name": ["n", "m"], "consent": CONSENT, "source": SOURCE}, None, (400, "duplicate_parameter", None)),
            ({"name": "low", "consent": CONSENT, "source": SOURCE}, None, (400, "invalid_value", "name")),
            ({"name": "../../x", "consent": CONSENT, "source": SOURCE}, None, (400, "invalid_value", "name")),
            ({"name": "n", "consent": CONSENT, "source": SOURCE}, NOT_SPEECH, (400, "audio_no_speech", "audio_sample")),
            ({"name": "n", "consent": CONSENT, "source": SOURCE}, b"PK\3\4", (400, "not_audio", "audio_sample")),
            ({"name": "n", "consent": CONSENT, "source": SOURCE}, b"", (400, "not_audio", "audio_sample")),
        ],
    )
    def test_a_wrong_form_is_named(
        self, server: RunningServer, form: dict[str, Any], audio: bytes | None, expected: tuple[int, str, str | None]
    ) -> None:
        sample = ("a.wav", speech_file() if audio is None else audio)
        response = ask(server, "POST", VOICES, data=form, files={"audio_sample": sample})
        assert error_of(response) == expected

    def test_each_field_is_of_its_kind(self, server: RunningServer) -> None:
        form = {"name": "n", "consent": CONSENT, "source": SOURCE}
        nothing = ask(server, "POST", VOICES, data=form, files={"x": ("", b"")})
        assert error_of(nothing)[0] == 400
        text = ask(
            server, "POST", VOICES, files={**{k: (None, v) for k, v in form.items()}, "audio_sample": (None, "x")}
        )
        assert error_of(text) == (400, "invalid_value", "audio_sample")
        rest = {"consent": CONSENT, "source": SOURCE}
        file = ask(server, "POST", VOICES, data=rest, files={"name": ("n.txt", b"n")})
        assert error_of(file) == (400, "invalid_value", "name")

    def test_hostile_sound_is_refused(self, server: RunningServer) -> None:
        samples, rate = spoken()
        lying = bytearray(speech_file())
        lying[40:44] = b"\xff\xff\xff\x7f"  # two gigabytes of samples, it says
        nan = sound_file(np.where(np.arange(samples.size) % 100 == 0, np.nan, samples), rate, subtype="FLOAT")
        for audio, code in (
            (nan, "audio_not_finite"),
            (sound_file(np.zeros(96_000), 24_000), "audio_silent"),
            (sound_file(np.clip(samples * 8, -1, 1), rate), "audio_clipped"),
            (sound_file(samples[:rate], rate), "audio_too_short"),
            (sound_file(np.tile(samples, 10), rate, "FLAC"), "audio_too_long"),
        ):
            assert error_of(add(server, "n", audio)) == (400, code, "audio_sample")
        assert add(server, "n", bytes(lying)).status_code in (200, 400)
        ask(server, "DELETE", f"{VOICES}/n")

    def test_eight_channels_at_176_khz_are_taken_and_more_than_the_limit_is_not(self, server: RunningServer) -> None:
        samples, rate = spoken()
        wide = sound_file(np.repeat(np.repeat(samples[: 3 * rate], 8)[:, None], 8, axis=1), rate * 8)
        assert add(server, "wide", wide).json()["sample_rate"] == rate * 8
        ask(server, "DELETE", f"{VOICES}/wide")
        assert error_of(add(server, "n", bytes(17 << 20)))[:2] == (413, "body_too_large")

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("multipart/form-data", b"x", 400),
            ("multipart/form-data; boundary=a", b"garbage", 400),
            ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--", 400),
            (
                "multipart/form-data; boundary=a",
                b'--a\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--a--',
                400,
            ),
            ("multipart/form-data; boundary=" + "a" * 3000, b"x", 400),
            (
                "multipart/form-data; boundary=a; charset=nonsense",
                b'--a\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--a--',
                400,
            ),
        ],
    )
    def test_a_broken_form_is_no_fault_of_ours(
        self, server: RunningServer, content_type: str, body: bytes, status: int
    ) -> None:
        response = ask(server, "POST", VOICES, content=body, headers={"Content-Type": content_type})
        assert response.status_code == status, response.text
        assert response.json()["error"]["message"].isprintable()

    def test_hundreds_of_fields_and_files_are_refused(self, server: RunningServer) -> None:
        many = [("audio_sample", ("a", b"x"))] * 300
        assert ask(server, "POST", VOICES, files=many).status_code == 400
        assert (
            ask(server, "POST", VOICES, data={f"f{number}": "x" for number in range(500)}, files={"a": b""}).status_code
            == 400
        )

    @pytest.mark.parametrize(
        "path",
        [
            f"{VOICES}/..%2f..%2fkeys.json",
            f"{VOICES}/%00",
            f"{VOICES}/%ff",
            f"{VOICES}/voice_{'0' * 24}",
            f"{VOICES}/{'x' * 5000}",
        ],
    )
    def test_paths_lead_nowhere(self, server: RunningServer, path: str) -> None:
        for method in ("GET", "DELETE"):
            assert ask(server, method, path).status_code == 404

    @pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=nobody"])
    def test_wrong_pages_are_refused(self, server: RunningServer, query: str) -> None:
        assert ask(server, "GET", f"{VOICES}?{query}").status_code == 400
        entries = ask(server, "GET", f"{VOICES}/audit?{query}")
        assert error_of(entries)[:2] == (400, "invalid_value")

    @pytest.mark.parametrize("after", ["other/2026", "first/../other", "first/%0a", "first/ä"])
    def test_an_audit_cursor_opens_no_other_folder(self, server: RunningServer, after: str) -> None:
        entries = ask(server, "GET", f"{VOICES}/audit", params={"after": after})
        assert error_of(entries) == (400, "invalid_value", "after")

    def test_without_a_key_nothing_is_told(self, server: RunningServer) -> None:
        with server.client(None) as client:
            for method, path in (("GET", VOICES), ("POST", VOICES), ("GET", f"{VOICES}/audit")):
                assert client.request(method, path).status_code == 401


class TestReplicas:
    def test_a_voice_is_on_all_at_once_and_off_all_within_a_minute(
        self, start_server: StartServer, tmp_path: Path
    ) -> None:
        store = (tmp_path / "objects").as_uri()
        first = start_server(store=store)
        (tmp_path / "two").mkdir()
        second = RunningServer(tmp_path / "two", store=store)
        try:
            voice = add(first, "narrator").json()
            assert hertz_of(second.generate("heard there", voice="narrator")) == pytest.approx(
                tone_of(None, voice["sha256"]), abs=1.5
            )
            samples = tmp_path / "two" / "work" / "voices"
            assert list(samples.rglob("*.wav"))
            ask(first, "DELETE", f"{VOICES}/narrator")

            def refused() -> bool:
                return second.generate("gone", voice="narrator", seed=7).status_code == 404

            until(refused, 60)
            until(lambda: not list(samples.rglob("*.wav")), 60)
        finally:
            second.kill()


class TestWithoutAStore:
    def test_voices_say_what_is_missing_and_speech_goes_on(self, shared_server: RunningServer) -> None:
        for method, path in (
            ("GET", VOICES),
            ("GET", f"{VOICES}/x"),
            ("DELETE", f"{VOICES}/x"),
            ("GET", f"{VOICES}/audit"),
        ):
            response = ask(shared_server, method, path)
            assert error_of(response)[:2] == (503, "no_store")
            assert "SPEECH_STORE" in response.json()["error"]["message"]
        assert error_of(add(shared_server, "n"))[:2] == (503, "no_store")
        assert shared_server.generate("still speaks").status_code == 200


class TestOutage:
    def test_with_a_store_that_fails_half_the_time_nothing_is_lost_and_nothing_is_doubled(
        self, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        with oss_server(OssBucket(keys={"id": ("secret", None)})) as oss:
            server = start_server(store=f"oss://{oss.name}?region={oss.region}&endpoint={oss.url}")
            oss.failing_share = 0.5
            added = {}
            for name in ("one", "two", "three", "four"):
                added[name] = until_done(partial(add, server, name)).json()["id"]
            until_done(partial(ask, server, "DELETE", f"{VOICES}/{added['four']}"))
            oss.failing_share = 0.0
            until(lambda: ask(server, "GET", VOICES).status_code == 200, 30)
            listed = {voice["name"]: voice["id"] for voice in ask(server, "GET", VOICES).json()["data"]}
            assert listed == {name: voice_id for name, voice_id in added.items() if name != "four"}
            assert len([key for key in oss.objects if key.startswith("voices/")]) == 3 * len(listed)
            assert oss.refusals == []

    def test_speech_goes_on_readiness_tells_and_it_heals(
        self, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        with oss_server(OssBucket(keys={"id": ("secret", None)})) as oss:
            server = start_server(store=f"oss://{oss.name}?region={oss.region}&endpoint={oss.url}")
            voice = add(server, "narrator").json()
            server.generate("the sample is here now", voice=voice["id"])
            oss.down = True
            assert error_of(ask(server, "GET", VOICES))[:2] == (503, "store_unavailable")
            assert ask(server, "GET", VOICES).headers["retry-after"] == "5"
            assert server.generate("speaks on").status_code == 200
            known = server.generate("a known voice", voice=voice["id"])
            assert hertz_of(known) == pytest.approx(tone_of(None, voice["sha256"]), abs=1.5)
            assert server.probe().status_code == 200
            assert "store" in server.probe().text
            oss.down = False
            until(lambda: ask(server, "GET", VOICES).status_code == 200, 30)
            until(lambda: server.log("store_works_again"))
            assert oss.refusals == []
        assert "secret" not in server.log_file.read_text()
