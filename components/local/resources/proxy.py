"""The load balancer of the stack."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.local.machine import ports, programs
from components.local.machine.caddyfile import admin_socket, caddyfile, site_url
from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout, read_text, write_private
from components.local.machine.supervisor import Supervisor, wait
from components.local.machine.unix_http import request
from components.local.resources.daemon import fingerprint
from components.local.resources.provider import LocalProvider, Props, layout_of, told_plainly

PROGRAM = "caddy"
START_SECONDS = 30


class ProxyProvider(LocalProvider):
    def expected(self, inputs: Props) -> Props:
        layout = layout_of(inputs)
        return {
            "url": site_url(inputs["host"], int(inputs["port"])),
            "configuration": fingerprint(wanted(layout, inputs) + program(layout)),
            "answers": True,
        }

    @told_plainly
    def create(self, props: Props) -> CreateResult:
        try:
            apply(props, before=None)
        except MachineError:
            Supervisor(layout_of(props)).remove(PROGRAM)
            raise
        return CreateResult(str(layout_of(props).run / "Caddyfile"), {**props, **self.expected(props)})

    @told_plainly
    def read(self, id_: str, props: Props) -> ReadResult:
        layout = layout_of(props)
        found = (read_text(layout.run / "Caddyfile") or "") + Supervisor(layout).configured().get(PROGRAM, "")
        answers = answering(props["url"])
        return ReadResult(id_, {**props, "configuration": fingerprint(found), "answers": answers})

    @told_plainly
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        apply(_news, before=read_text(layout_of(_news).run / "Caddyfile"))
        return UpdateResult({**_news, **self.expected(_news)})

    @told_plainly
    def delete(self, _id: str, _props: Props) -> None:
        layout = layout_of(_props)
        Supervisor(layout).remove(PROGRAM)
        (layout.run / "Caddyfile").unlink(missing_ok=True)


class Proxy(Resource, module="local", name="Proxy"):
    """Caddy: the service's one address, in front of every replica."""

    url: pulumi.Output[str]

    def __init__(self, name: str, data_dir: str, host: str, port: int, opts: pulumi.ResourceOptions) -> None:
        props = {
            "dataDir": data_dir,
            "host": host,
            "port": port,
            "url": None,
            "configuration": None,
            "answers": None,
        }
        super().__init__(ProxyProvider(), name, props, opts)


def apply(props: Props, before: str | None) -> None:
    """Make Caddy follow these settings; one that runs takes them over without dropping a request.

    `before` is the configuration to go back to when the new one cannot be used.
    """
    layout = layout_of(props)
    host, port = props["host"], int(props["port"])
    holder = ports.holder(host, port)
    if holder and holder.directory != layout.run:
        raise MachineError(f"indextts2:port: {port} is in use by {holder}; stop it, or set another port")

    text = wanted(layout, props)
    supervisor = Supervisor(layout)
    write_private(layout.run / "Caddyfile", text)
    state = supervisor.states().get(PROGRAM)
    if state and state.running and supervisor.configured().get(PROGRAM) == program(layout):
        load(layout, text, before)
    else:
        supervisor.apply(PROGRAM, program(layout))
    url = site_url(host, port)
    wait(lambda: answering(url), START_SECONDS, lambda: f"{url} does not answer; {supervisor.tail(PROGRAM)}")


def load(layout: Layout, text: str, before: str | None) -> None:
    """Give the running Caddy a new configuration; requests in flight end under the old one."""
    try:
        status, answer = request(admin_socket(layout), "POST", "/load", text, **{"Content-Type": "text/caddyfile"})
    except (OSError, HTTPException) as error:
        raise MachineError(f"the load balancer takes no new settings ({error}); run `make up` again") from None
    if status == 200:
        return
    if before is not None:
        write_private(layout.run / "Caddyfile", before)
    raise MachineError(f"the load balancer refuses its new settings and keeps the old ones: {answer.strip()}")


def wanted(layout: Layout, inputs: Props) -> str:
    return caddyfile(layout, inputs["host"], int(inputs["port"]))


def program(layout: Layout) -> str:
    return programs.section(programs.proxy(layout), layout)


def answering(url: str) -> bool:
    """Whether a ready replica answers through the load balancer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=35) as answer:
            return answer.status == 200
    except (OSError, HTTPException):
        return False
