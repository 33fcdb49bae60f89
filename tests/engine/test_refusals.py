"""What the real engine says of settings that this machine cannot carry, before anything is changed."""

import json
import socket

import pytest

from tests.engine.stack import LocalStack

pytestmark = pytest.mark.engine


class TestNothingIsChanged:
    def test_every_problem_is_said_at_once_by_preview_and_by_up(self, fresh: LocalStack):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            fresh.configure(prot="1", replicas="-1", port=str(port))
            for command in (["preview"], ["up", "--yes", "--skip-preview"]):
                done = fresh.pulumi(*command, "--stack", fresh.name, check=False)
                assert done.returncode
                assert "indextts2:prot: there is no such key; did you mean port?" in done.stdout
                assert "indextts2:replicas: -1: should be greater than or equal to 0" in done.stdout
                assert "Traceback" not in done.stdout
            fresh.pulumi("config", "rm", "indextts2:prot", "--stack", fresh.name)
            fresh.configure(replicas="2", dataDir=str(fresh.project / "Pulumi.yaml" / "data"))
            done = fresh.pulumi("preview", "--stack", fresh.name, check=False)
            assert f"indextts2:port: {port}: is in use by" in done.stdout
            assert f"{fresh.project}/Pulumi.yaml is not a directory" in done.stdout
        fresh.configure(port=str(fresh.port), dataDir=str(fresh.data))
        assert not fresh.data.exists()
        exported = json.loads(fresh.pulumi("stack", "export", "--stack", fresh.name).stdout)
        kinds = {one["type"] for one in exported["deployment"].get("resources") or []}
        assert kinds <= {"pulumi:pulumi:Stack"}

    def test_a_server_that_refuses_its_settings_fails_the_update_with_its_own_words(self, fresh: LocalStack):
        service = fresh.project / "components" / "local" / "fleet.py"
        text = service.read_text()
        service.write_text(text.replace("**engine.environment(settings, layout)", '"SPEECH_ENGINE": "festival"'))
        done = fresh.up(check=False)
        assert "server-0 fails again and again" in done
        assert "festival" in done
        assert not [one for one in fresh.processes() if "speech_server" in one.cmdline()]
        service.write_text(text)
        fresh.up()
        with fresh.client() as client:
            assert client.post("/generate", json={"text": "better now"}).status_code == 200
        fresh.destroy()
        assert not fresh.processes()
