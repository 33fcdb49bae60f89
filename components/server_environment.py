"""What a node's server is told: the same on every cloud but for the URLs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.contracts import SERVER_PORT
from components.settings.engine import EngineSettings

# Who the server is in its container and the only one who may read the keys; nobody of this number is on an image.
SERVER_UID = 10001
KEYS_FILE = "/run/indextts2/keys/keys.json"
# Where the server's container finds the weights, which it only reads.
WEIGHTS_FOLDER = "/weights"
# What a request may wait in a node's lane before it is spoken.
LONGEST_WAIT_SECONDS = 60
# What a client may wait for its clip, in all: less than what the load balancer of either cloud waits for the server
# (600 s on Alibaba Cloud). A text that cannot be spoken in this time is refused with a pointer to jobs.
REPLY_SECONDS = 590
# A server that is told to go lets go of what is not finished after this.
DRAIN_SECONDS = 660


@dataclass(frozen=True)
class ServerUrls:
    """Where the server finds what is not on its node.

    store: `s3://BUCKET?region=us-west-2`, `oss://BUCKET?region=cn-hangzhou&internal=true`.
    queue: `sqs://REGION/ACCOUNT/NAME`, `smq://REGION/ACCOUNT/NAME?internal=true`.
    topic: `sns://REGION/ACCOUNT/NAME`, `smq-topic://REGION/ACCOUNT/NAME?internal=true`.
    public: the service's own address as clients write it; None where it is not known before the nodes are made.
    """

    store: str
    queue: str
    topic: str
    public: str | None


def server_environment(engine: EngineSettings, image: str, urls: ServerUrls) -> dict[str, str]:
    """The variables; no secret, for they stand in a file that is not one."""
    public = {"SPEECH_PUBLIC_URL": urls.public} if urls.public else {}
    return {
        "SPEECH_LISTEN": f"0.0.0.0:{SERVER_PORT}",
        **engine_environment(engine, WEIGHTS_FOLDER),
        "SPEECH_API_KEYS_FILE": KEYS_FILE,
        "SPEECH_KEY_HINT": "whoever runs this service gives out keys",
        "SPEECH_IMAGE": image,
        "SPEECH_WORK_DIR": "/work",
        "SPEECH_MAX_WAIT_SECONDS": str(LONGEST_WAIT_SECONDS),
        "SPEECH_REPLY_SECONDS": str(REPLY_SECONDS),
        "SPEECH_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "SPEECH_STORE": urls.store,
        "SPEECH_QUEUE": urls.queue,
        "SPEECH_TOPIC": urls.topic,
        **public,
    }


def engine_environment(engine: EngineSettings, weights: str) -> dict[str, str]:
    """Which engine the server runs and how; `weights` is the folder in which it finds them. What is left to the engine
    is not told."""
    if engine.version is None:
        return {"SPEECH_ENGINE": engine.name}
    precision = {"SPEECH_ENGINE_PRECISION": engine.precision} if engine.precision else {}
    low_memory = {} if engine.low_memory is None else {"SPEECH_ENGINE_LOW_MEMORY": str(engine.low_memory).lower()}
    return {
        "SPEECH_ENGINE": engine.name,
        "SPEECH_ENGINE_WEIGHTS": weights,
        "SPEECH_ENGINE_VERSION": engine.version,
        **precision,
        **low_memory,
    }


def single_lines(values: Mapping[str, str]) -> Mapping[str, str]:
    """The values as they are. Raises ValueError for one that could not stand in a line of a node's file."""
    for name, value in values.items():
        if not value.isprintable():
            raise ValueError(f"{name}: {value!r}: a value in the user data must be one line of printable characters")
    return values


def public_url(domain: str | None) -> str | None:
    """The service's address under its domain; without one its name is the load balancer's, which comes after nodes."""
    return f"https://{domain}" if domain else None
