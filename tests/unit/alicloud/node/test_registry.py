"""The image on a node: the log-in, and the pull by digest."""

import pytest

from components.alicloud.ram import node_policy
from tests.unit.alicloud.boot import ACCESS, BOOT, INSTANCE_OF_REGISTRY, MODEL_BOOT
from tests.unit.alicloud.node.shipped import Shipped

# No image is here; a log-in shows its password to the test alone.
NO_IMAGE = "case $1 in image) exit 1;; login) cat > $ANSWERS/password;; esac"


class TestEnterprise:
    def test_it_logs_in_with_a_token_of_the_role_and_pulls_the_digest(self, node, cloud):
        cloud.registry_instances.add(INSTANCE_OF_REGISTRY)
        node.answer("docker.sh", NO_IMAGE)
        node.prepare()
        assert [call for call in node.calls[1:] if "inspect" not in call] == [
            f"docker login --username cr_temp_user --password-stdin {BOOT.registry_host}",
            f"docker pull --quiet {BOOT.image}",
        ]
        assert (node.answers / "password").read_text() == "a token of an hour"

    def test_an_image_that_is_here_is_not_asked_for(self, node, cloud):
        node.prepare()
        assert not cloud.calls
        assert not any("pull" in call or "login" in call for call in node.calls)

    @pytest.mark.parametrize("why", ["refused", "docker"])
    def test_a_failed_log_in_stops_it(self, node, cloud, why):
        node.answer("docker.sh", NO_IMAGE if why == "refused" else "[[ $1 != image && $1 != login ]]")
        if why == "docker":
            cloud.registry_instances.add(INSTANCE_OF_REGISTRY)
        failed = node.prepare(check=False)
        assert failed.returncode != 0
        assert failed.stderr.startswith("registry: ")
        assert not any("pull" in call for call in node.calls)


class TestPassword:
    def test_it_is_the_parameter_that_is_kept_for_it(self, tmp_path, cloud):
        access = type(ACCESS)(**{**vars(ACCESS), "registry_instance": None, "registry_password": "stack-password"})
        cloud.policies = [node_policy(access)]
        cloud.parameters["stack-password"] = "a password of a registry"
        boot = type(BOOT)(
            **{
                **vars(BOOT),
                "registry_instance": "",
                "registry_user": "studio@example",
                "registry_password": "stack-password",
            }
        )
        node = Shipped(tmp_path / "personal", cloud.url, boot)
        node.answer("docker.sh", NO_IMAGE)
        done = node.prepare()
        assert (node.answers / "password").read_text() == "a password of a registry"
        assert not any("a password" in text for text in (*node.calls, done.stdout, done.stderr))

    def test_a_registry_open_to_all_needs_no_log_in(self, tmp_path, cloud):
        node = Shipped(tmp_path / "open", cloud.url, type(BOOT)(**{**vars(BOOT), "registry_host": ""}))
        node.answer("docker.sh", "[[ $1 != image ]]")
        node.prepare()
        assert not cloud.calls
        assert node.calls[-1].startswith("docker pull")


class TestServer:
    def test_it_ends_as_its_container_ended(self, node):
        node.answer("docker.sh", "if [[ $1 == wait ]]; then echo 3; else echo a-container; fi")
        assert node.run("server.sh", check=False).returncode == 3
        run = next(call for call in node.calls if call.startswith("docker run"))
        assert "--env SPEECH_REPLICA=i-bp1oldest" in run
        assert f"--volume {node.run_dir}/keys:/run/indextts2/keys:ro" in run
        assert run.endswith(BOOT.image)
        assert ":/weights" not in run

    def test_it_reads_the_weights_and_cannot_write_them(self, tmp_path, cloud):
        node = Shipped(tmp_path / "model", cloud.url, MODEL_BOOT)
        node.answer("docker.sh", "if [[ $1 == wait ]]; then echo 0; fi")
        node.run("server.sh")
        run = next(call for call in node.calls if call.startswith("docker run"))
        assert "--volume /var/lib/indextts2/weights:/weights:ro" in run
