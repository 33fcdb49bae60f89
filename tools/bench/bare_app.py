"""The bare route: reads the same request and writes a body of the same size, on the same ASGI server.

With an engine named it asks that engine, in a process of its own and one call at a time, as a model that is not safe in
threads must be: what is left to be gained from a server around such an engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncGenerator

import uvicorn
from fastapi import FastAPI, Request, Response

from speech_server.audio.encode import wav_of_int16
from speech_server.engines.base import Utterance
from speech_server.engines.worker_process import WorkerProcess

BODY = bytes(44 + 2 * 2205)


def bare() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post("/generate")
    async def generate(request: Request) -> Response:
        await request.json()
        return Response(BODY, media_type="audio/wav")

    return app


def asking(engine: str) -> FastAPI:
    one_call = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def engine_runs(app: FastAPI) -> AsyncGenerator[None]:
        app.state.worker = worker = await WorkerProcess.start(engine)
        await worker.loaded(60)
        yield
        worker.kill("the measurement is over")
        await worker.gone()

    app = FastAPI(openapi_url=None, lifespan=engine_runs)

    @app.post("/generate")
    async def generate(request: Request) -> Response:
        asked = await request.json()
        utterance = Utterance(asked["text"], None, None, None, None, None, asked["seed"], False)
        async with one_call:
            spoken = await app.state.worker.speak(utterance, 60)
        return Response(wav_of_int16(spoken.pcm, spoken.sample_rate), media_type="audio/wav")

    return app


def main(path: str, *engine: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1024)
        os.chmod(path, 0o600)  # noqa: PTH101 - a socket
        app = asking(*engine) if engine else bare()
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
