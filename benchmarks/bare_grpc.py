"""The limit of a call to the shared cache: the same gRPC server with nothing behind it.

Run by `shared_cache.py` as `python -m benchmarks.bare_grpc PORT BYTES`.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc
import uvloop

SERVICE, METHOD = "micropic.Bare", "Get"


async def serve(port: int, size: int) -> None:
    """Answer `size` bytes to every call."""
    body = bytes(size)

    async def answer(_request: bytes, _context: Any) -> bytes:
        return body

    server = grpc.aio.server()
    handlers: dict[str, Any] = {METHOD: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:])))
