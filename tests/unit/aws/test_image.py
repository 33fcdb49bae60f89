"""The server's image on AWS: what is built, what nodes pull, and what stays in the registry."""

import json

import pulumi
import pytest

from components.aws.image import KEPT_IMAGES, ServerImage, ecr_repository, repository_lifecycle
from components.contracts import ServerImageArgs
from components.image_source import INFERENCE, build_tag, source_digest
from tests.unit.aws.one_part import aws_settings, register

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER_DIGEST = "sha256:" + "fedcba9876543210" * 4
TOKEN = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
        "authorizationToken": "dXNlcjpwYXNz",
        "expiresAt": "2026-01-01T00:00:00Z",
        "id": "us-west-2",
        "password": "of-the-registry",
        "proxyEndpoint": "https://123456789012.dkr.ecr.us-west-2.amazonaws.com",
        "region": "us-west-2",
        "userName": "AWS",
    }
}


def image(preview=False, **values):
    settings = aws_settings(**values)

    def make():
        made = ServerImage("speech", ServerImageArgs(settings), pulumi.ResourceOptions())
        return {
            "repository_arns": pulumi.Output.all(*made.repository_arns),
            **{name: getattr(made, name) for name in ("reference", "weights_reference", "registry_host")},
        }

    return register(make, calls=TOKEN, preview=preview)


class TestBuilt:
    def test_tags_do_not_move_and_every_push_is_scanned(self):
        repository = image()[0].of_type(":Repository").values
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["encryptionConfigurations"] == [{"encryptionType": "AES256"}]

    def test_it_is_built_for_the_nodes_processor_from_inference(self):
        build = image()[0].of_type(":Image").values["build"]
        assert build["platform"] == "linux/amd64"
        assert build["context"] == str(INFERENCE)
        assert build["target"] == "cpu"

    def test_another_engine_is_another_target_and_another_tag(self):
        one = image(engine={"name": "espeak"})[0].of_type(":Image").values
        server, _ = self.with_weights()[0]
        assert server["build"]["target"] == "indextts2"
        assert one["imageName"] != server["imageName"]

    def with_weights(self):
        """The server's image and the one that brings its weights; what nodes are told."""
        recorder, outputs = image(engine={"name": "indextts2"})
        built = {one.values["build"]["target"]: one.values for one in recorder.all_of_type("docker:index/image:Image")}
        assert built.keys() == {"indextts2", "weights"}
        return (built["indextts2"], built["weights"]), outputs

    def test_an_engine_with_weights_has_a_small_image_that_brings_them(self):
        (server, weights), outputs = self.with_weights()
        repository, _, tag = weights["imageName"].rpartition(":")
        assert server["imageName"].rpartition(":")[0] == repository, "nodes may pull from no other"
        assert tag == build_tag("weights", {})
        assert outputs["weights_reference"].startswith(f"{repository}@sha256:")
        assert outputs["weights_reference"] != outputs["reference"]

    def test_an_engine_without_weights_has_none(self):
        assert image()[1]["weights_reference"] is None

    def test_nodes_run_it_by_its_digest(self):
        recorder, outputs = image()
        assert "@sha256:" in outputs["reference"]
        assert outputs["registry_host"].endswith("amazonaws.com")
        (repository,) = outputs["repository_arns"]
        assert repository.startswith("arn:aws:ecr:")
        assert recorder.of_type(":Image").values["imageName"].endswith(f":{build_tag('cpu', {})}")

    def test_the_registrys_password_travels_as_a_secret(self):
        recorder, outputs = image()
        pushed = recorder.of_type(":Image")
        assert pushed.values["registry"]["password"] == "of-the-registry"
        assert "registry" in pushed.secret_inputs or "password" in str(pushed.inputs["registry"])
        assert "of-the-registry" not in json.dumps(outputs, default=str)

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_keeps_the_images_that_nodes_pull(self, protect):
        assert image(protect=protect)[0].of_type(":Repository").values["forceDelete"] is not protect


class TestTaken:
    def test_a_ready_image_of_ecr_builds_nothing_and_says_where_to_log_in(self):
        reference = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/speech@{DIGEST}"
        recorder, outputs = image(image=reference)
        assert [one.type for one in recorder.registered.values()] == ["indextts2:aws:ServerImage"]
        assert outputs == {
            "reference": reference,
            "weights_reference": None,
            "repository_arns": ["arn:aws:ecr:eu-west-1:123456789012:repository/team/speech"],
            "registry_host": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        }

    def test_a_ready_image_brings_the_weights_itself(self):
        recorder, outputs = image(image=f"registry.example.com/speech@{DIGEST}", engine={"name": "indextts2"})
        assert not [one for one in recorder.registered.values() if one.custom]
        assert outputs["weights_reference"] is None

    def test_one_beside_it_that_brings_the_weights_may_be_pulled_too(self):
        host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        weights = {"image": f"{host}/team/weights@{OTHER_DIGEST}"}
        _, outputs = image(image=f"{host}/team/speech@{DIGEST}", engine={"name": "indextts2"}, weights=weights)
        assert outputs["weights_reference"] == weights["image"]
        assert outputs["repository_arns"] == [
            f"arn:aws:ecr:eu-west-1:123456789012:repository/team/{name}" for name in ("speech", "weights")
        ]

    def test_another_registrys_image_needs_no_log_in(self):
        assert ecr_repository(f"registry.example.com/speech@{DIGEST}") == (None, None)
        # A host that only begins like one of ECR is not one: nodes would send it their log-in.
        assert ecr_repository(f"123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com/a@{DIGEST}") == (None, None)


class TestRegistryLifecycle:
    def test_the_newest_stay_and_untagged_ones_go(self):
        rules = repository_lifecycle()["rules"]
        assert [rule["rulePriority"] for rule in rules] == [1, 2]
        assert rules[1]["selection"] == {
            "tagStatus": "any",
            "countType": "imageCountMoreThan",
            "countNumber": KEPT_IMAGES,
        }


class TestSourceDigest:
    def test_it_changes_with_content_and_name_and_not_with_what_running_leaves(self, tmp_path):
        (tmp_path / "a.py").write_text("a = 1")
        first = source_digest(tmp_path)
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
        (tmp_path / "server.egg-info").mkdir()
        (tmp_path / "server.egg-info" / "PKG-INFO").write_text("x")
        assert source_digest(tmp_path) == first
        (tmp_path / "a.py").write_text("a = 2")
        changed = source_digest(tmp_path)
        (tmp_path / "a.py").rename(tmp_path / "b.py")
        assert len({first, changed, source_digest(tmp_path)}) == 3
