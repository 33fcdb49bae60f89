"""The comments, against a server on loopback that answers as GitHub does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.listening import serving
from tools.failure import SetupError
from tools.plan.comments import Comment, PullRequest, Write, complete, decide, main, read_texts, touched_stacks
from tools.plan.markdown import marker

TOKEN = "a-token-of-this-test"


class Hub(ThreadingHTTPServer):
    """Comments of one pull request; `status` is what every call is answered with, when set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.rows: list[dict[str, Any]] = []
        self.status = 0
        self.calls: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        page = int(self.path.rpartition("page=")[2])
        self._answer(200, self.server.rows[(page - 1) * 100 : page * 100])

    def do_POST(self) -> None:
        row = {"id": len(self.server.rows) + 1, "user": {"type": "Bot"}, **self._body()}
        self.server.rows.append(row)
        self._answer(201, row)

    def do_PATCH(self) -> None:
        (row,) = [row for row in self.server.rows if row["id"] == int(self.path.rpartition("/")[2])]
        row.update(self._body())
        self._answer(200, row)

    def _body(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: object) -> None:
        self.server.calls.append((self.command, self.path, self.headers["Authorization"]))
        data = json.dumps(body).encode()
        self.send_response(self.server.status or status)
        if self.server.status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub()) as server:
        yield server


@pytest.fixture
def environment(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GITHUB_API_URL": hub.url,
        "GITHUB_REPOSITORY": "studio/speech",
        "PULL_REQUEST": "7",
        "GITHUB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)


def plans(folder: Path, **texts: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)
    return str(folder)


@pytest.mark.usefixtures("environment")
class TestInPlace:
    def test_made_once_then_changed_where_it_is(self, hub: Hub, tmp_path: Path) -> None:
        main([plans(tmp_path / "plans", prod=f"{marker('prod')}\none")])
        main([plans(tmp_path / "plans", prod=f"{marker('prod')}\ntwo")])
        assert [row["body"] for row in hub.rows] == [f"{marker('prod')}\ntwo\n"]
        assert {(method, path.partition("?")[0]) for method, path, _ in hub.calls} == {
            ("GET", "/repos/studio/speech/issues/7/comments"),
            ("POST", "/repos/studio/speech/issues/7/comments"),
            ("PATCH", "/repos/studio/speech/issues/comments/1"),
        }

    def test_the_same_again_writes_nothing(self, hub: Hub, tmp_path: Path) -> None:
        folder = plans(tmp_path / "plans", prod="one")
        main([folder])
        hub.calls.clear()
        main([folder])
        assert [method for method, *_ in hub.calls] == ["GET"]

    def test_nobody_elses_comment_is_touched(self, hub: Hub, tmp_path: Path) -> None:
        theirs = {"id": 1, "user": {"type": "User"}, "body": f"{marker('prod')}\nmine"}
        hub.rows = [dict(theirs), {"id": 2, "user": None, "body": None}]
        main([plans(tmp_path / "plans", prod="one")])
        assert hub.rows[0] == theirs
        assert hub.rows[2]["body"] == f"{marker('prod')}\none\n"

    def test_one_on_a_later_page_is_found(self, hub: Hub, tmp_path: Path) -> None:
        hub.rows = [{"id": number, "user": {"type": "User"}, "body": "x"} for number in range(1, 151)]
        hub.rows.append({"id": 151, "user": {"type": "Bot"}, "body": f"{marker('prod')}\nold"})
        main([plans(tmp_path / "plans", prod="new")])
        assert len(hub.rows) == 151
        assert hub.rows[150]["body"] == f"{marker('prod')}\nnew\n"

    @pytest.mark.parametrize("status", [302, 403, 500])
    def test_a_refusal_says_which_and_shows_no_token(self, hub: Hub, tmp_path: Path, status: int) -> None:
        hub.status = status
        with pytest.raises(SetupError, match=f"GitHub answered {status}") as failure:
            main([plans(tmp_path / "plans", prod="one")])
        assert TOKEN not in str(failure.value)
        assert not [path for _, path, _ in hub.calls if "elsewhere" in path]


class TestComplete:
    def test_a_preview_that_did_not_finish_is_no_stack_that_is_not_touched(self) -> None:
        names = touched_stacks('[[{"name": "local", "target": "local"}], [{"name": "prod", "target": "aws"}]]')
        assert names == ["local", "prod"]
        texts = complete({"local": "x"}, names)
        assert texts["local"] == "x"
        assert texts["prod"].startswith(marker("prod"))
        assert "did not finish" in texts["prod"]

    @pytest.mark.parametrize("text", ["{", "[1]", '[[{"x": 1}]]', '[[{"name": "a b"}]]', '[[{"name": 7}]]'])
    def test_what_is_no_list_of_stacks(self, text: str) -> None:
        with pytest.raises(SetupError, match="TOUCHED"):
            touched_stacks(text)


class TestDecide:
    def test_a_stack_that_is_no_longer_touched_says_so_once(self) -> None:
        old = Comment(5, "prod", f"{marker('prod')}\nold")
        (write,) = decide({}, [old])
        assert (write.id, "no longer touches" in write.body) == (5, True)
        assert decide({}, [Comment(5, "prod", write.body)]) == []

    def test_of_two_the_first_is_kept_up(self) -> None:
        comments = [Comment(1, "prod", "a"), Comment(2, "prod", "b")]
        assert decide({"prod": "c"}, comments) == [Write(1, "prod", "c")]


class TestReadTexts:
    def test_a_plan_cannot_speak_for_another_stack(self, tmp_path: Path) -> None:
        plans(tmp_path, dev=f"{marker('prod')}\nx {marker('prod')}")
        assert read_texts(tmp_path) == {"dev": f"{marker('dev')}\nx\n"}

    def test_a_huge_one_is_cut(self, tmp_path: Path) -> None:
        plans(tmp_path, dev="x" * 1_000_000)
        assert len(read_texts(tmp_path)["dev"]) < 65_536

    def test_a_link_and_a_strange_name_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a b.md").write_text("x")
        with pytest.raises(SetupError, match="no plan of a stack"):
            read_texts(tmp_path)
        (tmp_path / "a b.md").unlink()
        (tmp_path / "dev.md").symlink_to("/etc/passwd")
        with pytest.raises(SetupError, match="no plan of a stack"):
            read_texts(tmp_path)


FULL = {"GITHUB_REPOSITORY": "a/b", "PULL_REQUEST": "1", "GITHUB_TOKEN": TOKEN}


class TestEnvironment:
    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is missing"),
            ({"GITHUB_REPOSITORY": "a/b/../c"}, "is no owner/name"),
            ({"PULL_REQUEST": "1/x"}, "is no pull request's number"),
            ({"GITHUB_API_URL": "http://example.com"}, "in the clear"),
        ],
    )
    def test_what_is_wrong_is_named(self, changes: dict[str, str], problem: str) -> None:
        with pytest.raises(SetupError, match=problem) as failure:
            PullRequest.of({**FULL, **changes})
        assert TOKEN not in str(failure.value)
