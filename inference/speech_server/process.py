"""The server process: its socket, its signals, and an end that drops nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Generator
from pathlib import Path

import uvicorn
import uvloop

from speech_server import __version__
from speech_server.app import create_app
from speech_server.cloud_watch import watch_cloud
from speech_server.cold_start import process_started, tell_cold_start
from speech_server.control import Control
from speech_server.drain import Drain, Notice
from speech_server.guarded_http import GuardedHttp
from speech_server.listener import Listener, ListenError, listen
from speech_server.logs import LineHandler
from speech_server.service import Service, make_service
from speech_server.settings import Settings
from speech_server.traces import Traces, open_traces

# How long a load balancer that probes once a second may take to notice a drain.
_PROBE_SECONDS = 3.0
# A request that was on its way when the socket closed is in by then.
_LAST_REQUESTS_SECONDS = 0.25
# Longer than a load balancer keeps an idle connection (Caddy here: 120 s; one in a cloud as long as the longest
# synthesis, about 690 s): the side that sends requests must be the one that closes, or a request meets a connection
# that is just closing.
_KEEP_ALIVE_SECONDS = 720
_PARENT_POLL_SECONDS = 0.5
# For the last bytes of what was let go of when the drain's time was up.
_FLUSH_SECONDS = 1

log = logging.getLogger("speech_server.process")


class HttpServer(uvicorn.Server):
    """uvicorn, with the signals left to `run`, and an end that reads what is already on the wire.

    `drain` is to be set before it serves.
    """

    drain: Drain

    @property
    def in_progress(self) -> int:
        """Requests that are being answered, probes among them."""
        return len(self.server_state.tasks)

    def let_go(self) -> None:
        """Have every request that is being answered end now, with 503 if nothing of its answer is out."""
        for task in list(self.server_state.tasks):
            task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_REQUESTS_SECONDS)
        for connection in list(self.server_state.connections):
            connection.shutdown()  # now if it is idle, else with its answer
        await self.drain.until_idle()
        await super().shutdown(sockets)


def run(settings: Settings, log_lines: LineHandler) -> None:
    """Serve until told to end. Raises ListenError, KeysError, TracesError or OSError before anything is served."""
    traces = open_traces(os.environ, settings.replica, __version__)
    with contextlib.ExitStack() as stack:
        if settings.work_dir is None:
            work_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speech-server-")))
        else:
            work_dir = settings.work_dir
            work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        uvloop.run(_serve(settings, work_dir, log_lines, traces))
    traces.stop()


async def _serve(settings: Settings, work_dir: Path, log_lines: LineHandler, traces: Traces) -> None:
    log_lines.use_loop(asyncio.get_running_loop())
    service = make_service(settings, work_dir, log_lines, traces)
    listener = listen(settings.listen)
    try:
        server = HttpServer(_config(service))
        runner = None if service.jobs is None else service.jobs.runner
        server.drain = drain = Drain(service.readiness, server, runner, settings.drain_seconds)
        control = await _open_control(work_dir, drain)
        # What is here now stays for good: the collector need not look through it for each answer's garbage.
        gc.collect()
        gc.freeze()
        where = {"address": settings.listen, "pid": os.getpid(), "control": str(control.path)}
        log.info("listening", extra={"fields": where})
        beside = [
            asyncio.create_task(_end_when_told(service, listener, drain)),
            asyncio.create_task(_end_when_drained(server, service, listener, drain)),
            asyncio.create_task(
                tell_cold_start(settings.phases_file, service.host, service.metrics, process_started())
            ),
        ]
        if settings.store:
            beside.append(asyncio.create_task(watch_cloud(settings.store, service.readiness)))
        try:
            await server.serve(sockets=[listener.socket])
        finally:
            control.close()
            for task in beside:
                task.cancel()
    finally:
        listener.unlink()
        listener.socket.close()
    log.info("ended", extra={"fields": {"pid": os.getpid()}})


async def _open_control(work_dir: Path, drain: Drain) -> Control:
    """Without it a server speaks all the same, and ends by a signal."""
    control = Control(work_dir, drain)
    try:
        await control.open()
    except ListenError as error:
        log.warning("no_control_socket", extra={"fields": {"reason": str(error)}})
    return control


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(service),
        http=GuardedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_FLUSH_SECONDS,  # the drain has waited already
    )


async def _end_when_told(service: Service, listener: Listener, drain: Drain) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.put_nowait, signal.Signals(number).name)
    orphaned = asyncio.create_task(_parent_is_gone(os.getppid(), told))
    reason = await told.get()
    orphaned.cancel()
    drain.begin(Notice(reason, drain.longest_seconds))
    log.info("draining", extra={"fields": {"reason": reason, "seconds_at_most": round(drain.seconds_left, 1)}})
    again = await told.get()
    log.warning("ended_at_once", extra={"fields": {"reason": again}})
    service.host.kill()
    listener.unlink()
    logging.shutdown()
    os._exit(1)


async def _end_when_drained(server: HttpServer, service: Service, listener: Listener, drain: Drain) -> None:
    await drain.ending.wait()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(service.readiness.drain_seen.wait(), min(_PROBE_SECONDS, drain.seconds_left))
    listener.unlink()
    server.should_exit = True


async def _parent_is_gone(parent: int, told: asyncio.Queue[str]) -> None:
    """A server whose supervisor was killed would hold its address against the next one."""
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    told.put_nowait("the parent process ended")
