"""The limit of a cached answer: the same HTTP server with nothing behind it.

Run by `limits.py` as `python -m benchmarks.bare PORT BYTES`.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn


def application(size: int) -> Any:
    """Give an ASGI application that answers `size` bytes to everything."""
    body = bytes(size)
    headers = [(b"content-type", b"image/jpeg"), (b"content-length", b"%d" % size)]

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def main() -> None:
    """Serve on the port, and answer the number of bytes, that the command line names."""
    port, size = map(int, sys.argv[1:])
    uvicorn.run(
        application(size),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
