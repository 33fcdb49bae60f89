"""The bare route: reads the same request and writes a body of the same size, on the same ASGI server."""

from __future__ import annotations

import os
import socket
import sys

import uvicorn
from fastapi import FastAPI, Request, Response

BODY = bytes(44 + 2 * 2205)

app = FastAPI(openapi_url=None)


@app.post("/generate")
async def generate(request: Request) -> Response:
    await request.json()
    return Response(BODY, media_type="audio/wav")


def main(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1024)
        os.chmod(path, 0o600)  # noqa: PTH101 - a socket
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
