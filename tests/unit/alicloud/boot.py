"""What a node of the tests is told."""

import dataclasses

from components.alicloud.ram import NodeAccess
from components.alicloud.user_data import Boot
from components.server_environment import ServerUrls
from tests.unit.engines import ESPEAK, INDEXTTS2, NO_WEIGHTS, WEIGHTS

REGION, ACCOUNT = "cn-hangzhou", "1234567890123456"
REGISTRY = "studio-registry-vpc.cn-hangzhou.cr.aliyuncs.com"
INSTANCE_OF_REGISTRY = "cri-0123456789abcdef"
BOOT = Boot(
    region=REGION,
    fleet="speech-test-nodes-01234567",
    image=f"{REGISTRY}/speech/server@sha256:{'a' * 64}",
    weights_image="",
    registry_host=REGISTRY,
    registry_instance=INSTANCE_OF_REGISTRY,
    registry_user="",
    registry_password="",
    keys_kind="parameter",
    keys_name="speech-test-api-keys-01234567",
    metric_group="7654321",
    engine=ESPEAK,
    weights=NO_WEIGHTS,
    urls=ServerUrls(
        store="oss://speech-test-objects-01234567?region=cn-hangzhou&internal=true",
        queue=f"smq://cn-hangzhou/{ACCOUNT}/speech-test-jobs-01234567?internal=true",
        topic=f"smq-topic://cn-hangzhou/{ACCOUNT}/speech-test-finished-01234567?internal=true",
        public="https://speech.example.com",
    ),
)
MODEL_BOOT = dataclasses.replace(
    BOOT, engine=INDEXTTS2, weights=WEIGHTS, weights_image=f"{REGISTRY}/speech/server@sha256:{'b' * 64}"
)
ACCESS = NodeAccess(
    region=REGION,
    account=ACCOUNT,
    bucket="speech-test-objects-01234567",
    queue="speech-test-jobs-01234567",
    dead_letters="speech-test-dead-jobs-01234567",
    topic="speech-test-finished-01234567",
    keys_kind="parameter",
    keys_name=BOOT.keys_name,
    keys_key=None,
    registry_instance=INSTANCE_OF_REGISTRY,
    registry_repository="speech/server",
    registry_password=None,
    weights=WEIGHTS.name,
    may_fill=True,
)
