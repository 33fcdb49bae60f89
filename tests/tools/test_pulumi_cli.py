"""The search for a CLI: stand-ins on PATH, a loopback site for the installer, a stand-in `go` for the build."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.listening import listening
from tests.tools.conftest import Script
from tools import pulumi_cli, pulumi_installer
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.pulumi_cli import find_on_path, parse_version

PINNED = "3.259.0"
_COMMANDS = ("sh", "mkdir", "cat", "chmod", "echo", "env")

Site = Callable[[str], str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with what a shell script needs, and neither pulumi nor go."""
    folder = tmp_path / "path"
    folder.mkdir()
    for command in _COMMANDS:
        found = shutil.which(command)
        assert found is not None
        (folder / command).symlink_to(found)
    return folder


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment(tmp_path: Path, path: Path, unused_port: int) -> dict[str, str]:
    """A user's: a home of its own, a cache below it, and an installer site where nobody listens."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": str(path),
        "HOME": str(home),
        "INDEXTTS2_PULUMI_INSTALLER": f"http://127.0.0.1:{unused_port}/install.sh",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def site() -> Iterator[Site]:
    """Serves a text as the installer script, on loopback."""
    with contextlib.ExitStack() as servers:

        def serve(text: str) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(text.encode())

                def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                    """Quiet."""

            return f"{servers.enter_context(listening(Handler))}/install.sh"

        yield serve


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the test and its loopback site."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def _pulumi(script: Script, folder: Path, version: str, *, host: bool = True) -> None:
    script(folder / "pulumi", f"echo v{version}")
    if host:
        script(folder / "pulumi-language-python", "exit 0")


def _installer(version: str, extra: str = "") -> str:
    """As the official one takes its arguments: --version V --install-root R --no-edit-path."""
    return f"""#!/bin/sh
set -e
[ "$1 $2 $3 $5" = "--version {PINNED} --install-root --no-edit-path" ] || exit 64
{extra}
mkdir -p "$4/bin" "$HOME/.pulumi"
for name in pulumi pulumi-language-python; do
    printf '#!/bin/sh\\necho v{version}\\n' > "$4/bin/$name"
    chmod 755 "$4/bin/$name"
done
"""


class TestParseVersion:
    @pytest.mark.parametrize(
        ("text", "version"),
        [
            ("v3.259.0", (3, 259, 0)),
            ("3.259.10\n", (3, 259, 10)),
            ("v3.260.0-alpha.1782", (3, 260, 0)),
            ("v3.259.0+dirty", (3, 259, 0)),
            ("3.259", None),
            ("", None),
            ("command not found", None),
        ],
    )
    def test_what_pulumi_prints(self, text: str, version: tuple[int, int, int] | None) -> None:
        assert parse_version(text) == version


class TestOnPath:
    @pytest.mark.parametrize("version", ["3.259.0", "3.260.0", "3.1000.0", "4.0.0"])
    def test_new_enough(self, path: Path, script: Script, tmp_path: Path, version: str) -> None:
        _pulumi(script, path, version)
        found, _ = find_on_path(PINNED, {"PATH": str(path)}, tmp_path)
        assert found is not None
        assert found.directory == path

    @pytest.mark.parametrize("version", ["3.258.9", "3.99.0", "2.300.0"])
    def test_too_old(self, path: Path, script: Script, tmp_path: Path, version: str) -> None:
        _pulumi(script, path, version)
        found, seen = find_on_path(PINNED, {"PATH": str(path)}, tmp_path)
        assert found is None
        assert f"is v{version}, older than {PINNED}" in seen

    def test_the_language_host_may_be_elsewhere_on_path(self, path: Path, script: Script, tmp_path: Path) -> None:
        _pulumi(script, path, PINNED, host=False)
        found, seen = find_on_path(PINNED, {"PATH": str(path)}, tmp_path)
        assert found is None
        assert "has no pulumi-language-python" in seen
        script(tmp_path / "other" / "pulumi-language-python", "exit 0")
        found, _ = find_on_path(PINNED, {"PATH": f"{path}{os.pathsep}{tmp_path / 'other'}"}, tmp_path)
        assert found is not None

    @pytest.mark.parametrize("body", ["exit 1", "echo nonsense"])
    def test_one_that_does_not_tell(self, path: Path, script: Script, tmp_path: Path, body: str) -> None:
        script(path / "pulumi", body)
        found, seen = find_on_path(PINNED, {"PATH": str(path)}, tmp_path)
        assert found is None
        assert "does not tell its version" in seen


class TestOrder:
    def test_path_before_the_cache(
        self, tools_checkout: Checkout, path: Path, script: Script, environment: dict[str, str]
    ) -> None:
        _pulumi(script, path, "3.300.0")
        assert pulumi_cli.ensure(tools_checkout, environment) == path
        assert tools_checkout.pulumi_bin_record.read_text() == f"{path}\n"
        assert not (Path(environment["HOME"]) / ".cache").exists()

    def test_the_installer_then_the_cache(
        self, tools_checkout: Checkout, environment: dict[str, str], site: Site, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asking = environment | {"INDEXTTS2_PULUMI_INSTALLER": site(_installer(PINNED))}
        directory = pulumi_cli.ensure(tools_checkout, asking)
        cache = Path(environment["HOME"]) / ".cache" / "indextts2"
        assert directory.parent.parent == cache
        assert directory.parent.name.startswith(f"pulumi-{PINNED}-")
        assert not directory.parent.name.endswith("-built")
        assert sorted(file.name for file in cache.iterdir()) == sorted([directory.parent.name, "lock"])
        assert not (Path(environment["HOME"]) / ".pulumi").exists()
        assert "installing with http://127.0.0.1:" in capsys.readouterr().out
        # Found again without a question to any site.
        assert pulumi_cli.ensure(tools_checkout, environment) == directory
        assert "installing" not in capsys.readouterr().out

    def test_an_old_one_on_path_is_passed_over(
        self, tools_checkout: Checkout, path: Path, script: Script, environment: dict[str, str], site: Site
    ) -> None:
        _pulumi(script, path, "3.10.0")
        asking = environment | {"INDEXTTS2_PULUMI_INSTALLER": site(_installer(PINNED))}
        assert pulumi_cli.ensure(tools_checkout, asking) != path

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("<html>Please log in</html>", "answered with something that is no script"),
            ("#!/bin/sh\necho no room >&2; exit 3\n", "ended with status 3: no room"),
            (_installer("3.1.0"), "answers 'v3.1.0' instead of 3.259.0"),
        ],
        ids=["captive portal", "failing", "another version"],
    )
    def test_an_installer_that_does_not_do_is_reported_and_leaves_nothing(
        self,
        tools_checkout: Checkout,
        environment: dict[str, str],
        site: Site,
        script: Script,
        text: str,
        said: str,
        path: Path,
    ) -> None:
        script(path / "go", '[ "$1" = env ] && echo go1.26.8')
        environment = environment | {"INDEXTTS2_PULUMI_INSTALLER": site(text)}
        with pytest.raises(SetupError) as raised:
            pulumi_cli.ensure(tools_checkout, environment)
        assert said in str(raised.value)
        cache = Path(environment["HOME"]) / ".cache" / "indextts2"
        assert [file.name for file in cache.iterdir() if "pulumi" in file.name or "unfinished" in file.name] == []
        assert not tools_checkout.pulumi_bin_record.exists()

    def test_nothing_to_be_had_says_what_was_tried_and_what_to_do(
        self, tools_checkout: Checkout, path: Path, script: Script, environment: dict[str, str]
    ) -> None:
        script(path / "go", '[ "$1" = env ] && echo go1.24.4')
        with pytest.raises(SetupError) as raised:
            pulumi_cli.ensure(tools_checkout, environment | {"PIP_NO_INDEX": "1"})
        text = str(raised.value)
        tried = [
            "PATH has no pulumi",
            "the cache ",
            "the installer http://127.0.0.1:",
            "go is not Go 1.25.11 or newer, and pip could",
        ]
        places = [text.index(words) for words in tried]
        assert places == sorted(places)
        for remedy in ("HTTPS_PROXY", "INDEXTTS2_PULUMI_INSTALLER", "GOPROXY", "INDEXTTS2_CACHE"):
            assert remedy in text

    def test_no_place_for_the_cache(self, tools_checkout: Checkout, path: Path, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="HOME is not set"):
            pulumi_cli.ensure(tools_checkout, {"PATH": str(path)})
        (tmp_path / "file").touch()
        with pytest.raises(SetupError, match=r"cannot be written .*INDEXTTS2_CACHE"):
            pulumi_cli.ensure(tools_checkout, {"PATH": str(path), "INDEXTTS2_CACHE": str(tmp_path / "file" / "cache")})


class TestInstallerSite:
    def test_one_that_takes_the_call_and_never_answers_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pulumi_installer, "SECONDS_TO_ANSWER", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            script, failed = pulumi_installer.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/install.sh")
        assert script is None
        assert "answer" in failed or "timed out" in failed

    def test_no_other_scheme(self, tmp_path: Path) -> None:
        (tmp_path / "install.sh").write_text("#!/bin/sh\n")
        assert pulumi_installer.fetch((tmp_path / "install.sh").as_uri()) == (None, "not an http(s) address")


class TestBuild:
    def test_from_the_pinned_modules(
        self, tools_checkout: Checkout, path: Path, script: Script, environment: dict[str, str], tmp_path: Path
    ) -> None:
        """The stand-in `go` writes down how it was called, and "builds" a script that tells the linked-in version."""
        sdk = tmp_path / "sdk"
        for name in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
            (sdk / name).parent.mkdir(parents=True, exist_ok=True)
            (sdk / name).write_text("#!/bin/sh\n")
        calls = tmp_path / "calls"
        script(
            path / "go",
            f"""echo "$GOTOOLCHAIN $CGO_ENABLED $GOWORK $GOPROXY $*" >> "{calls}"
case "$1 $2 $3" in
"env GOVERSION ") echo go1.26.8;;
"list -mod=readonly -deps") echo 'go: downloading a v1'; echo a; echo b;;
"list -mod=readonly -m") echo "{sdk}";;
"build -v -mod=readonly") echo a; while [ "$1" != -o ]; do case "$1" in *Version=*) v=${{1##*=}};; esac; shift; done
    printf '#!/bin/sh\\necho %s\\n' "$v" > "$2"; chmod 755 "$2";;
*) exit 70;;
esac""",
        )
        directory = pulumi_cli.ensure(tools_checkout, environment | {"GOPROXY": "http://mirror.invalid"})
        assert directory.parent.name.endswith("-built")
        assert sorted(file.name for file in directory.iterdir()) == [
            "pulumi",
            "pulumi-language-python",
            "pulumi-language-python-exec",
            "pulumi-resource-pulumi-python",
        ]
        assert all(os.access(file, os.X_OK) for file in directory.iterdir())
        lines = calls.read_text().splitlines()
        assert all(line.startswith("local 0 off http://mirror.invalid ") for line in lines)
        built = [line for line in lines if " build " in line]
        assert len(built) == 2
        assert "version.Version=3.259.0" in built[0]
        assert "version.Version=3.78.0" in built[1]

    def test_a_failing_build_quotes_go(
        self, tools_checkout: Checkout, path: Path, script: Script, environment: dict[str, str]
    ) -> None:
        body = 'case "$1" in env) echo go1.26.8;; *) echo "dial tcp: lookup proxy: no such host"; exit 1;; esac'
        script(path / "go", body)
        with pytest.raises(SetupError, match=r"(?s)fetching the modules of pulumi ended with status 1:.*no such host"):
            pulumi_cli.ensure(tools_checkout, environment)
