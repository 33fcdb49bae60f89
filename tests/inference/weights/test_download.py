"""From a hub to a folder, against a stand-in for both hubs."""

import hashlib

import pytest

from speech_server.engines.indextts2.weights import WeightsError, check_weights, required_files
from speech_server.weights import hub_client
from speech_server.weights.download import download
from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.folder import WeightsFolder
from speech_server.weights.hubs import parse_source
from speech_server.weights.together import Stop
from tests.inference.weights.hub_server import COMMIT
from tests.inference.weights.material import contents, hub_repos, told


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(hub_client, "FIRST_WAIT_SECONDS", 0.001)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def fetch(hub, folder, version="2.5", scheme="hf", revision=""):
    url = f"{scheme}://IndexTeam/IndexTTS-{version}{revision}?endpoint={hub.url}"
    return download(parse_source(url), WeightsFolder(folder), told()[0], Stop())


class TestWhole:
    @pytest.mark.parametrize("version", ["2", "2.5"])
    @pytest.mark.parametrize("scheme", ["hf", "modelscope"])
    def test_a_version_with_its_auxiliary_models(self, hubs, tmp_path, version, scheme):
        hub = hubs(version, modelscope=scheme == "modelscope")
        listed = fetch(hub, tmp_path, version, scheme)
        check_weights(tmp_path, version)
        assert {file.path: file.sha256 for file in listed.files} == contents(tmp_path)
        main = hub_repos(version)[f"IndexTeam/IndexTTS-{version}"]
        for path in [*required_files(version), "LICENSE", "qwen0.6bemo4-merge/config.json"]:
            assert path in contents(tmp_path)
            if path in main:
                assert contents(tmp_path)[path] == hashlib.sha256(main[path]).hexdigest()
        assert ".gitattributes" not in contents(tmp_path)

    def test_each_file_says_where_it_is_from(self, hubs, tmp_path):
        hub = hubs()
        listed = fetch(hub, tmp_path)
        of = {file.path: listed.origins[file.origin] for file in listed.files if file.origin is not None}
        assert len(of) == len(listed.files)
        assert of["gpt.pth"].repo == f"{hub.url}/IndexTeam/IndexTTS-2.5"
        assert of["hf_cache/bigvgan/config.json"].repo == f"{hub.url}/nvidia/bigvgan_v2_22khz_80band_256x"
        assert {(origin.revision, origin.licence) for origin in listed.origins} == {(COMMIT, "apache-2.0")}

    def test_nobody_else_is_asked(self, hubs, tmp_path):
        hub = hubs()
        fetch(hub, tmp_path)
        assert hub.requests
        assert not [
            path for path in hub.requests if not path.startswith(("/api/models/", "/cdn/")) and COMMIT not in path
        ]


class TestBrokenOff:
    def test_a_file_that_breaks_off_is_continued(self, hubs, tmp_path):
        hub = hubs()
        hub.cut["gpt.pth"] = 1_500_000
        hub.failures += [503, 429]
        fetch(hub, tmp_path)
        name = "IndexTeam/IndexTTS-2.5/gpt.pth"
        first, second = (request for request in hub.file_requests if request.startswith(name))
        assert first == f"{name}@0"
        assert 0 < int(second.partition("@")[2]) <= 1_500_000

    def test_the_next_run_continues_too(self, hubs, tmp_path):
        hub = hubs()
        data = hub.repos["IndexTeam/IndexTTS-2.5"]["gpt.pth"]
        (tmp_path / ".partial").mkdir()
        (tmp_path / ".partial" / "gpt.pth").write_bytes(data[:1_000_000])
        fetch(hub, tmp_path)
        assert "IndexTeam/IndexTTS-2.5/gpt.pth@1000000" in hub.file_requests

    @pytest.mark.parametrize("left", [b"something else", b"x" * 5_000_000])
    def test_what_was_left_by_another_file_is_not_kept(self, hubs, tmp_path, left):
        (tmp_path / ".partial").mkdir()
        (tmp_path / ".partial" / "gpt.pth").write_bytes(left)
        fetch(hubs(), tmp_path)
        check_weights(tmp_path, "2.5")

    def test_a_hub_that_cannot_continue_begins_anew(self, hubs, tmp_path):
        hub = hubs()
        hub.ranges = False
        hub.cut["gpt.pth"] = 1_500_000
        fetch(hub, tmp_path)
        check_weights(tmp_path, "2.5")

    def test_what_an_operator_downloaded_is_kept_if_it_has_the_hubs_sum(self, hubs, tmp_path):
        hub = hubs()
        for path, data in hub.repos["IndexTeam/IndexTTS-2.5"].items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(b"wrong" if path == "feat1.pt" else data)
        fetch(hub, tmp_path)
        assert {request.partition("@")[0] for request in hub.file_requests if request.startswith("IndexTeam")} == {
            "IndexTeam/IndexTTS-2.5/feat1.pt"
        }


class TestHostileHub:
    @pytest.mark.parametrize("path", ["gpt.pth", "config.yaml"])  # with the sha256 of LFS, with Git's sha1
    @pytest.mark.parametrize("how", ["other", "longer", "shorter"])
    def test_content_without_the_published_sum_never_gets_its_name(self, hubs, tmp_path, path, how):
        hub = hubs()
        data = hub.repos["IndexTeam/IndexTTS-2.5"][path]
        hub.sent[path] = {"other": b"x" * len(data), "longer": data + b"x", "shorter": data[:-1]}[how]
        with pytest.raises(TransferError) as caught:
            fetch(hub, tmp_path)
        assert caught.value.status == Exit.CONTENT
        assert not (tmp_path / path).exists()
        with pytest.raises(WeightsError):
            check_weights(tmp_path, "2.5")

    @pytest.mark.parametrize(
        "target",
        [
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:1/x",
            "file:///etc/passwd",
            "ftp://127.0.0.1/x",
            "http://[",
        ],
    )
    def test_it_cannot_send_elsewhere_but_by_https(self, hubs, tmp_path, target):
        hub = hubs()
        hub.redirect = target
        with pytest.raises(TransferError) as caught:
            fetch(hub, tmp_path)
        assert caught.value.status == Exit.CONTENT

    def test_nor_in_circles(self, hubs, tmp_path):
        hub = hubs()
        hub.redirect = f"/IndexTeam/IndexTTS-2.5/resolve/{COMMIT}/gpt.pth"
        with pytest.raises(TransferError, match="more than 5 times"):
            fetch(hub, tmp_path)

    def test_names_that_leave_the_folder_are_left_out(self, hubs, tmp_path):
        hub = hubs()
        main = hub.repos["IndexTeam/IndexTTS-2.5"]
        main |= {"../up": b"x", "/etc/cron.d/x": b"x", "manifest.json": b"x", "VERIFIED": b"x", "a/../../b": b"x"}
        fetch(hub, tmp_path / "w")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["w"]
        check_weights(tmp_path / "w", "2.5")

    def test_names_that_are_one_on_some_disks_are_refused(self, hubs, tmp_path):
        hub = hubs()
        hub.repos["IndexTeam/IndexTTS-2.5"]["GPT.pth"] = b"x"
        with pytest.raises(TransferError, match="one file on some disks"):
            fetch(hub, tmp_path)


class TestRefused:
    def test_a_repository_that_is_none(self, hubs, tmp_path):
        with pytest.raises(TransferError, match="no such repository, revision or file") as caught:
            fetch(hubs("2"), tmp_path, "2.5")
        assert caught.value.status == Exit.ABSENT

    def test_a_revision_that_is_none(self, hubs, tmp_path):
        with pytest.raises(TransferError, match="no such repository, revision or file"):
            fetch(hubs(), tmp_path, revision="@v9")

    @pytest.mark.parametrize("status", [401, 403])
    def test_one_that_is_not_public(self, hubs, tmp_path, status):
        hub = hubs()
        hub.failures.append(status)
        with pytest.raises(TransferError, match="the hub refuses access") as caught:
            fetch(hub, tmp_path)
        assert caught.value.status == Exit.ACCESS

    def test_a_hub_that_is_down(self, hubs, tmp_path):
        hub = hubs()
        hub.failures += [503] * 50
        with pytest.raises(TransferError, match="the hub answers 503") as caught:
            fetch(hub, tmp_path)
        assert caught.value.status == Exit.UNREACHABLE

    def test_no_network(self, tmp_path):
        source = parse_source("hf://IndexTeam/IndexTTS-2.5?endpoint=http://127.0.0.1:9")
        with pytest.raises(TransferError, match="check the network and its proxy, or name a mirror") as caught:
            download(source, WeightsFolder(tmp_path), told()[0], Stop())
        assert caught.value.status == Exit.UNREACHABLE
