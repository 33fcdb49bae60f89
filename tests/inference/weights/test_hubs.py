"""What a hub is asked, and what its answers say."""

import pytest

from speech_server.weights.failure import Exit, TransferError
from speech_server.weights.hub_files import auxiliary_sources, model_version, wanted_files
from speech_server.weights.hubs import Hub, Listed, Repo, Source, file_url, list_urls, page_url, parse_source, read_list

SHA256, SHA1 = "ab" * 32, "cd" * 20
HF = Hub("hf", "https://huggingface.co")
SCOPE = Hub("modelscope", "https://www.modelscope.cn")


def source(hub=HF, repo="IndexTeam/IndexTTS-2.5", revision="main"):
    return Source(hub, repo, revision)


class TestSources:
    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("hf://IndexTeam/IndexTTS-2.5", source()),
            ("hf://IndexTeam/IndexTTS-2@v2.0", source(repo="IndexTeam/IndexTTS-2", revision="v2.0")),
            (
                "hf://IndexTeam/IndexTTS-2.5@main?endpoint=https://hf-mirror.com/",
                source(Hub("hf", "https://hf-mirror.com")),
            ),
            ("modelscope://IndexTeam/IndexTTS-2.5", source(SCOPE, revision="master")),
        ],
    )
    def test_a_url_names_hub_repository_and_revision(self, url, found):
        assert parse_source(url) == found

    @pytest.mark.parametrize(
        "url",
        [
            "https://huggingface.co/IndexTeam/IndexTTS-2", "hf://IndexTTS-2", "hf://a/b/c", "hf://../b", "hf://a/..",
            "hf://a/b@", "hf://a/b@../x", "hf://a/b@x y", "hf://a/b?token=x", "hf://a/b?endpoint=ftp://x",
            "hf://a/b?endpoint=https://user@x", "hf://a/b?endpoint=https://x&endpoint=https://y", "hf://a/b#x", "",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, url):
        with pytest.raises(TransferError) as caught:
            parse_source(url)
        assert caught.value.status == Exit.SETTINGS


class TestAddresses:
    def test_hugging_face(self):
        listing, licence = list_urls(source(revision="refs/pr/1"))
        assert listing == ("https://huggingface.co/api/models/IndexTeam/IndexTTS-2.5/revision/refs%2Fpr%2F1?blobs=true")
        assert licence is None
        repo = Repo(source(), SHA1, "", {})
        assert (
            file_url(repo, "a b/c.pth") == f"https://huggingface.co/IndexTeam/IndexTTS-2.5/resolve/{SHA1}/a%20b/c.pth"
        )
        assert page_url(source()) == "https://huggingface.co/IndexTeam/IndexTTS-2.5"

    def test_modelscope(self):
        model = "https://www.modelscope.cn/api/v1/models/IndexTeam/IndexTTS-2.5"
        asked = source(SCOPE, revision="master")
        assert list_urls(asked) == (f"{model}/repo/files?Revision=master&Recursive=true", model)
        assert file_url(Repo(asked, "master", "", {}), "a/c.pth") == f"{model}/repo?Revision=master&FilePath=a%2Fc.pth"
        assert page_url(asked) == "https://www.modelscope.cn/models/IndexTeam/IndexTTS-2.5"


class TestLists:
    HF_ANSWER = {  # noqa: RUF012 - never changed
        "sha": SHA1,
        "cardData": {"license": "other", "license_name": "bilibili-model-use-license-agreement"},
        "siblings": [
            {"rfilename": "gpt.pth", "size": 5, "blobId": SHA1, "lfs": {"sha256": SHA256, "size": 7}},
            {"rfilename": "config.yaml", "size": 3, "blobId": SHA1},
        ],
    }

    def test_hugging_face(self):
        repo = read_list(source(), self.HF_ANSWER, None)
        assert (repo.revision, repo.licence) == (SHA1, "bilibili-model-use-license-agreement")
        assert repo.files == {
            "gpt.pth": Listed("gpt.pth", 7, SHA256, None),
            "config.yaml": Listed("config.yaml", 3, None, SHA1),
        }

    def test_modelscope(self):
        files = [
            {"Type": "tree", "Path": "hf", "Size": 0, "Sha256": ""},
            {"Type": "blob", "Path": "hf/a", "Size": 3, "Sha256": SHA256},
        ]
        repo = read_list(source(SCOPE), {"Code": 200, "Data": {"Files": files}}, {"Data": {"License": "Apache-2.0"}})
        assert repo.licence == "Apache-2.0"
        assert repo.files == {"hf/a": Listed("hf/a", 3, SHA256, None)}

    @pytest.mark.parametrize(
        "change",
        [
            {"sha": "main"},
            {"sha": None},
            {"siblings": None},
            {"siblings": [{"rfilename": "a", "size": -1, "blobId": SHA1}]},
            {"siblings": [{"rfilename": "a", "size": True, "blobId": SHA1}]},
            {"siblings": [{"rfilename": "a", "size": 1 << 60, "blobId": SHA1}]},
            {"siblings": [{"rfilename": "a", "size": 1}]},
            {"siblings": [{"rfilename": "a", "size": 1, "blobId": "x"}]},
            {"siblings": ["a"]},
        ],
    )
    def test_an_answer_that_no_hub_gives(self, change):
        with pytest.raises(TransferError, match="list of files cannot be read"):
            read_list(source(), {**self.HF_ANSWER, **change}, None)

    @pytest.mark.parametrize("answer", [None, [], "x", {}, {"Code": 404, "Data": None}, {"Code": 200, "Data": None}])
    def test_an_answer_that_is_no_list(self, answer):
        with pytest.raises(TransferError):
            read_list(source(), answer, None)
        with pytest.raises(TransferError):
            read_list(source(SCOPE), answer, {"Data": {}})

    def test_a_licence_that_is_no_line_of_text_is_left_out(self):
        for licence in ("\x1b[2J", 5, ["mit"]):
            answer = {**self.HF_ANSWER, "cardData": {"license": licence}}
            assert read_list(source(), answer, None).licence == ""


class TestChoosing:
    def repo(self, *paths, name="IndexTeam/IndexTTS-2.5"):
        return Repo(source(repo=name), SHA1, "", {path: Listed(path, 5, SHA256, None) for path in paths})

    def test_version_2_needs_the_semantic_codec_and_2_5_has_its_own(self):
        assert set(auxiliary_sources(HF, "2.5")) == {"bigvgan", "campplus", "w2v-bert"}
        assert set(auxiliary_sources(HF, "2")) == {"bigvgan", "campplus", "codec", "w2v-bert"}

    def test_auxiliary_models_have_other_names_on_modelscope(self):
        found = auxiliary_sources(SCOPE, "2.5")
        assert found["campplus"] == Source(SCOPE, "iic/speech_campplus_sv_zh-cn_16k-common", "master")
        assert auxiliary_sources(HF, "2.5")["campplus"] == Source(HF, "funasr/campplus", "main")

    def test_the_version_is_known_by_its_files(self):
        assert model_version(self.repo("codec.pth", "multilingual_zh_ja_yue_char_del.tiktoken")) == "2.5"
        with pytest.raises(TransferError, match="of neither version 2"):
            model_version(self.repo("gpt.pth"))

    def test_a_file_that_the_hub_lacks_is_named(self):
        main = self.repo("codec.pth", "multilingual_zh_ja_yue_char_del.tiktoken")
        with pytest.raises(TransferError, match=r"has no file config\.yaml"):
            wanted_files(main, {}, "2.5")
