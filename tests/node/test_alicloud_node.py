"""An instance on Alibaba Cloud from its first boot to its end, with the user data that the stack gives it.

Needs a machine of its own, because that is what it tests: that the script, systemd, the programs that it leaves and the
speech server do together what the stack counts on. Docker, NVIDIA's toolkit, the metadata service and the cloud's APIs
are stand-ins, the last two as strict as the vendor documents them; systemd, the shell, the files, the users, TLS and
the server are real. The monitoring agents cannot be installed: a node speaks without them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.alicloud.ram import group_policy, node_policy
from components.alicloud.user_data import WEIGHTS_DIR, render
from speech_server.weights.place import open_place
from tests.alicloud_for_nodes import ACCOUNT, GROUP, INSTANCE, REGION, Cloud, handler_of, member
from tests.inference.storage.oss_server import Kept, OssBucket, oss_handler
from tests.inference.weights.material import push_set, write_set
from tests.listening import serving
from tests.node.instance import (
    KEY,
    Instance,
    check_it_is_bounded,
    check_it_speaks,
    check_the_weights_came,
    check_units,
    state,
)
from tests.node.machine import Machine, until
from tests.unit.alicloud.boot import ACCESS, BOOT
from tests.unit.engines import FILLED

METADATA_ADDRESS = "100.100.100.200"
APIS = [f"{name}.{REGION}.aliyuncs.com" for name in ("cr", "ess", "kms", "metrics", "oos")]
AGENTS = [
    f"cms-agent-{REGION}.oss-{REGION}-internal.aliyuncs.com",
    f"aliyun-observability-release-{REGION}.oss-{REGION}-internal.aliyuncs.com",
]
# As the stack gives it, but that the group is asked more often: nothing here waits for a pause.
USER_DATA = re.sub(r"^GROUP_SECONDS=.*$", "GROUP_SECONDS=1", render(BOOT), flags=re.MULTILINE)
SMALL = BOOT.image.replace("a" * 64, "c" * 64)
# An engine that any machine can run: what is tested is how the weights come, not what loads them.
WITH_WEIGHTS = dataclasses.replace(
    BOOT,
    weights=FILLED.model_copy(update={"name": "set"}),
    weights_image=SMALL,
    urls=dataclasses.replace(BOOT.urls, store=f"{BOOT.urls.store}&endpoint=http://127.0.0.1:5002"),
)
PASSWORD = "a token of an hour"  # the stand-in's, for the user of an Enterprise registry


class AlibabaInstance(Instance):
    """With the metadata service and the APIs of Alibaba Cloud, which the test serves."""

    log_file = "/var/log/indextts2/node.log"

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        machine.stand_in("nvidia-ctk", "nvidia_ctk.py")
        machine.run("ip", "address", "add", f"{METADATA_ADDRESS}/32", "dev", "lo")
        machine.write("/etc/hosts", f"127.0.0.1 localhost {' '.join(APIS + AGENTS)}\n")
        self.offer(BOOT.image, PASSWORD)


@pytest.fixture
def cloud() -> Cloud:
    """What the node's own policies allow it, and no more. The group waits for the node's word, as for each new one."""
    made = Cloud([node_policy(ACCESS), group_policy(REGION, ACCOUNT, GROUP)])
    made.parameters[BOOT.keys_name] = json.dumps({"dubbing": KEY})
    made.registry_instances.add(BOOT.registry_instance)
    made.instances = [member(INSTANCE, state="Pending")]
    return made


@pytest.fixture
def node(tmp_path: Path, machine: Machine, cloud: Cloud) -> Iterator[AlibabaInstance]:
    with contextlib.ExitStack() as servers:
        instance = AlibabaInstance(machine)
        authority = certificate(tmp_path)
        machine.write("/etc/stand-in-authority.pem", (tmp_path / "certificate.pem").read_text())
        # The machine's Python trusts who signed for the APIs, in place of the world's authorities.
        machine.run("systemctl", "set-environment", "SSL_CERT_FILE=/etc/stand-in-authority.pem")
        handler = handler_of(cloud)
        servers.enter_context(serving(server_of(handler, machine.listen(METADATA_ADDRESS, 80))))
        listening = machine.listen("127.0.0.1", 443)
        servers.enter_context(serving(server_of(handler, authority.wrap_socket(listening, server_side=True))))
        yield instance


def certificate(folder: Path) -> ssl.SSLContext:
    """For the APIs' names, signed by itself, in `certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a stand-in for Alibaba Cloud")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(api) for api in APIS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def server_of(
    handler: type[http.server.BaseHTTPRequestHandler], listening: socket.socket
) -> http.server.ThreadingHTTPServer:
    """On a socket that listens already, in the network of the machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    return server


class TestNode:
    def test_from_its_first_boot_to_its_end(self, node: AlibabaInstance, cloud: Cloud) -> None:
        hook = cloud.wait_for(INSTANCE)
        node.run_user_data(USER_DATA)
        until(node.ready, told=node.all_logs)
        until(lambda: hook["Result"] == "CONTINUE", told=node.log)
        check_it_speaks(node)
        check_it_is_bounded(node)
        before = state(node, "indextts2-lifecycle.service")
        node.run_user_data(USER_DATA)
        assert state(node, "indextts2-lifecycle.service") == before
        check_units(node)
        self._it_reports(node, cloud)
        self._changed_keys_are_taken(node, cloud)
        self._it_drains_at_a_spot_notice(node, cloud)
        self._it_goes_when_the_group_says_so(node, cloud)
        assert cloud.refused == []

    def _it_reports(self, node: AlibabaInstance, cloud: Cloud) -> None:
        assert node.machine.run("systemctl", "start", "indextts2-report.service").returncode == 0, node.log()
        assert {figure["GroupId"] for figure in cloud.figures} == {BOOT.metric_group}
        assert len({figure["MetricName"] for figure in cloud.figures}) >= 3

    def _changed_keys_are_taken(self, node: AlibabaInstance, cloud: Cloud) -> None:
        new = "another-key-of-the-dubbing-team-0123456789ab"
        cloud.parameters[BOOT.keys_name] = json.dumps({"dubbing": new})
        assert node.machine.run("systemctl", "start", "indextts2-keys.service").returncode == 0, node.log()
        until(lambda: node.get("/v1/models", new)[0] == 200, told=node.all_logs)
        until(lambda: node.get("/v1/models", KEY)[0] == 401, told=node.all_logs)

    def _it_drains_at_a_spot_notice(self, node: AlibabaInstance, cloud: Cloud) -> None:
        # no load balancer here that would need a moment
        node.machine.run("sed", "-i", "s/^SPOT_GRACE_SECONDS=.*/SPOT_GRACE_SECONDS=0/", "/etc/indextts2/node.env")
        node.machine.run("systemctl", "restart", "indextts2-lifecycle.service")
        cloud.metadata["instance/spot/termination-time"] = "2026-11-22T00:05:00Z"
        until(lambda: node.get("/healthz")[0] == 0, told=node.all_logs)
        assert "a spot notice; the server finishes what it speaks" in node.log()
        assert '"draining"' in node.all_logs()
        assert "stand-in" not in node.log().partition("a spot notice")[2]

    def _it_goes_when_the_group_says_so(self, node: AlibabaInstance, cloud: Cloud) -> None:
        cloud.instances = [member(INSTANCE, state="Removing")]
        hook = cloud.wait_for(INSTANCE, "ash-2")
        until(lambda: hook["Result"] == "CONTINUE", told=node.log)
        assert node.get("/healthz")[0] == 0
        assert "the server finishes what it speaks" in node.log()


@pytest.fixture
def bucket(tmp_path: Path, machine: Machine, cloud: Cloud) -> Iterator[OssBucket]:
    """The stack's, with small weights in it, for the role's credentials only. OSS is a stand-in as well."""
    access = cloud.credentials
    made = OssBucket(
        ACCESS.bucket, REGION, {access["AccessKeyId"]: (access["AccessKeySecret"], access["SecurityToken"])}
    )
    store = tmp_path / "store"
    place = open_place(f"file://{store}", "set")
    push_set(place, write_set(tmp_path / "set"))
    place.close()
    for path in (store / "weights").rglob("*"):
        if path.is_file():
            now = datetime.datetime.now(datetime.timezone.utc)
            made.objects[str(path.relative_to(store))] = Kept(path.read_bytes(), "application/octet-stream", now)
    with serving(server_of(oss_handler(made), machine.listen("127.0.0.1", 5002))):
        yield made


class TestWeights:
    def test_they_come_while_the_image_is_pulled(self, node: AlibabaInstance, cloud: Cloud, bucket: OssBucket) -> None:
        hook = cloud.wait_for(INSTANCE)
        # One after the other they would never come.
        node.offer_all({BOOT.image: {"held_until": f"{WEIGHTS_DIR}/VERIFIED"}, SMALL: {}}, PASSWORD)
        node.run_user_data(render(WITH_WEIGHTS))
        until(node.ready, told=node.all_logs)
        until(lambda: hook["Result"] == "CONTINUE", told=node.log)
        check_it_speaks(node)
        check_units(node)
        check_the_weights_came(node, WEIGHTS_DIR)
        assert (cloud.refused, bucket.refusals) == ([], [])


class TestWhatFails:
    """Each is told where an operator looks, and ends with its cause, without a new instance."""

    def test_one_after_the_other(self, node: AlibabaInstance, cloud: Cloud) -> None:
        run, role = node.machine.run, cloud.role
        cloud.role = ""
        run("rm", "/var/lib/stand-in-registry.json")
        node.try_often()
        node.run_user_data(USER_DATA)
        self._told(node, f"keys: {BOOT.keys_name}: GetSecretParameter: ValueError")
        cloud.role = role
        cloud.failing["GetSecretParameter"] = (403, "Forbidden.RAM")
        self._told(node, f"keys: {BOOT.keys_name}: GetSecretParameter: Forbidden.RAM")
        cloud.failing = {"GetAuthorizationToken": (404, "INSTANCE_NOT_EXIST")}
        self._told(node, "registry: no password: GetAuthorizationToken: INSTANCE_NOT_EXIST")
        cloud.failing = {}
        self._told(node, "connection refused")
        node.offer(BOOT.image.replace("a" * 64, "b" * 64), PASSWORD)
        self._told(node, "manifest unknown")
        node.offer(BOOT.image, PASSWORD)
        run("rm", "/etc/stand-in-nvidia")
        self._told(node, 'could not select device driver "" with capabilities: [[gpu]]')
        node.machine.write("/etc/stand-in-nvidia", "")
        node.try_now()
        until(node.ready, told=node.all_logs)

    def _told(self, node: AlibabaInstance, what: str) -> None:
        node.try_now()
        until(lambda: what in node.log(), told=node.all_logs)
        assert not node.ready()
