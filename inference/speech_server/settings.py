"""The server's settings and its engine's: environment variables that begin with SPEECH_, and no other source."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from speech_server.engines import engine_path
from speech_server.engines.placement import DEVICE
from speech_server.engines.variables import DECLARED, EngineVariables, variables_of
from speech_server.notify.topic import check_topic_url
from speech_server.queues.open_queue import check_queue_url
from speech_server.storage.store_url import parse_store_url

PREFIX = "SPEECH_"
# Each raises ValueError for a URL that it does not take.
_URL_CHECKS = {"store": parse_store_url, "queue": check_queue_url, "topic": check_topic_url}


class SettingsError(Exception):
    """Every problem of the environment at once, a line each."""


class Settings(BaseSettings):
    """Read with `read_settings`. Seconds are wall-clock seconds, bytes are bytes on the wire."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    listen: str = Field("127.0.0.1:8000", description='"unix:/path/to.sock" or "HOST:PORT"')
    engine: str = Field("espeak", description='an engine\'s name, or "package.module:Class" of an engine of your own')
    engines: int | None = Field(
        None,
        ge=1,
        le=64,
        description="engine processes behind one lane; none: one for each GPU that the engine can use",
    )
    devices: str = Field(
        "",
        pattern=r"^[A-Za-z0-9/-]+(,[A-Za-z0-9/-]+)*$|^$",
        max_length=2000,
        description='of the engines, as CUDA_VISIBLE_DEVICES takes them: "0,1" or UUIDs; none: all that are visible',
    )
    idle_unload_minutes: float = Field(
        0.0,
        ge=0,
        le=525_600,
        description="an engine that is not asked for so long ends, until it is asked again; 0: it stays",
    )
    api_keys_file: Path = Field(description="JSON object: client name -> key; re-read when it changes")
    key_hint: str = Field("", max_length=500, description="added to 401 messages: where a key is to be had")
    replica: str = Field("", max_length=100, description="this server's name in its log lines")
    image: str = Field("", max_length=300, description="what /healthz calls the running image")
    store: str = Field(
        "",
        description="of voices, jobs and results: file:///DIR, s3://BUCKET?region=R or oss://BUCKET?region=R",
    )
    log_objects: bool = Field(True, description="keep this server's log in the store too")
    public_url: str = Field("", description="the service's own address, for links to what a file: store keeps")
    max_voices: int = Field(1000, ge=1, le=10_000, description="that one client may have registered")
    queue: str = Field(
        "",
        description="of jobs: sqlite:///DIR/FILE, sqs://REGION/ACCOUNT/NAME or smq://REGION/ACCOUNT/NAME?dead=NAME",
    )
    topic: str = Field(
        "",
        description="told of every job's end: sns://REGION/ACCOUNT/NAME or smq-topic://REGION/ACCOUNT/NAME",
    )
    job_lease_seconds: int = Field(
        60, ge=3, le=3600, description="a job whose server died is given to another one after so long"
    )
    result_days: int | None = Field(
        None, ge=1, le=3650, description="results and records of jobs are deleted after so many days; none: kept"
    )
    webhook_loopback: bool = Field(
        False, description="webhooks may go to this machine and over http: for a service that only its machine reaches"
    )
    phases_file: Path = Field(
        Path("/run/indextts2/phases.json"), description="seconds of the node's phases before this server, as JSON"
    )
    work_dir: Path | None = Field(None, description="private folder for voice samples; none: a temporary one")
    max_body_bytes: int = Field(16 << 20, ge=1024, le=1 << 30, description="of a request; more are answered 413")
    max_text_chars: int = Field(4096, ge=1, le=100_000, description="spoken at once")
    max_requests: int = Field(256, ge=1, le=100_000, description="requests held at once; more are answered 503")
    max_wait_seconds: float = Field(60.0, ge=0, le=3600, description="expected wait for the engine; longer: 429")
    reply_seconds: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="an answer must be there by then: a little less than the load balancer's time-out",
    )
    call_seconds: float = Field(120.0, gt=0, le=86_400, description="an engine call on 50 characters; more: longer")
    load_seconds: float = Field(900.0, gt=0, le=86_400, description="the engine must be warm by then")
    body_seconds: float = Field(30.0, gt=0, le=3600, description="a request's body must be complete by then")
    drain_seconds: float = Field(60.0, ge=0, le=86_400, description="requests in flight may take this long at the end")

    @field_validator("listen")
    @classmethod
    def _listen_is_an_address(cls, value: str) -> str:
        if value.startswith("unix:"):
            if not value.removeprefix("unix:").startswith("/"):
                raise ValueError("the socket's path must be absolute: unix:/path/to.sock")
            return value
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError('use "unix:/path/to.sock" or "HOST:PORT", like 127.0.0.1:8000')
        return value

    @field_validator("store", "queue", "topic")
    @classmethod
    def _url_is_known(cls, value: str, info: ValidationInfo) -> str:
        if value:
            _URL_CHECKS[str(info.field_name)](value)
        return value

    @field_validator("public_url")
    @classmethod
    def _public_url_is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be like https://speech.example.com")
        return value.rstrip("/")

    @field_validator("engine")
    @classmethod
    def _engine_is_known(cls, value: str) -> str:
        engine_path(value)
        return value


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`, which must be the process's own. Those that the engine's process will read are
    checked too. Raises SettingsError with all problems.
    """
    engine = environment.get(f"{PREFIX}ENGINE", Settings.model_fields["engine"].default)
    declared = _engine_variables(engine)
    problems = [*_unknown_variables(environment, engine, declared.names), *declared.problems(environment)]
    settings = None
    try:
        settings = Settings()  # reads the environment itself
    except ValidationError as error:
        problems += [_describe(problem["loc"], problem["msg"], problem["input"]) for problem in error.errors()]
    if settings is not None and settings.devices and environment.get(DEVICE):
        problems.append(f"{PREFIX}DEVICES={settings.devices!r}: {DEVICE} names one for every engine too; unset one")
    if problems or settings is None:
        raise SettingsError("\n".join(problems))
    return settings


def _engine_variables(engine: str) -> EngineVariables:
    try:
        return variables_of(engine)
    except ValueError:  # which is told; nobody knows whose the engine's variables are
        names = tuple(name for declared in DECLARED.values() for name in declared.names)
        return EngineVariables(names, lambda _: [])


def _unknown_variables(environment: Mapping[str, str], engine: str, of_engine: tuple[str, ...]) -> list[str]:
    known = {*(PREFIX + name.upper() for name in Settings.model_fields), *of_engine}
    others = {name: other for other, declared in DECLARED.items() for name in declared.names}
    problems = []
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in known:
            continue
        if name in others:
            problems.append(
                f"{name}: the engine {engine} has no such setting, {others[name]} has; unset it, or set "
                f"{PREFIX}ENGINE={others[name]}"
            )
            continue
        near = difflib.get_close_matches(name, known, 1)
        problems.append(f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "; unset it"))
    return problems


def _describe(location: tuple[int | str, ...], message: str, found: object) -> str:
    name = PREFIX + str(location[0]).upper()
    if message == "Field required":
        return f"{name}: not set; {Settings.model_fields[str(location[0])].description}"
    return f"{name}={str(found)[:200]!r}: {message.removeprefix('Value error, ')}"
