"""What many requests for the same pictures cost: `python -m benchmarks.sharing`.

Six sizes of 50 photos, in turn and all at once, are counted at the origin; then 200 clients ask for
one new preview at once, and the time from the first answer to the last is taken.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import photos, service
from benchmarks.processes import ROOT

_WIDTHS = (160, 320, 480, 640, 960, 1280)
_PHOTOS = 50
_CLIENTS = 200
_CROWDS = 5


class _Counting(ThreadingHTTPServer):
    """Answers `/{anything}/{number}` with a photo, and counts."""

    daemon_threads = True

    def __init__(self, bodies: list[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies = bodies
        self.fetches = 0
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Counting

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.fetches += 1
        body = self.server.bodies[int(self.path.rpartition("/")[2]) % len(self.server.bodies)]
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _origin(bodies: list[bytes]) -> Iterator[_Counting]:
    with _Counting(bodies) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def main() -> None:
    """Measure, and print a line each."""
    bodies = photos.find(ROOT / ".cache" / "benchmarks").read()
    with (
        tempfile.TemporaryDirectory(prefix="micropic-bench-") as folder,
        _origin(bodies) as origin,
        service.serving(
            Path(folder) / "service", PROXY_TIMEOUT="60", SOURCE_TIMEOUT="60"
        ) as started,
    ):
        source = f"127.0.0.1:{origin.server_port}"
        sizes = [f"/fit/{width}/{width}/{source}" for width in _WIDTHS]
        page = [f"{size}/turn/{number}" for number in range(_PHOTOS) for size in sizes]
        times = uvloop.run(_ask(started.port, page, 1))
        _told(f"six sizes of {_PHOTOS} photos, in turn", origin, len(page) / times[-1])
        page = [f"{size}/once/{number}" for number in range(_PHOTOS) for size in sizes]
        times = uvloop.run(_ask(started.port, page, 48))
        _told(f"six sizes of {_PHOTOS} photos, 48 at a time", origin, len(page) / times[-1])
        spreads = []
        for crowd in range(_CROWDS):
            path = f"/fill/300/200/{source}/crowd/{crowd}"
            times = uvloop.run(_ask(started.port, [path] * _CLIENTS, _CLIENTS))
            spreads.append(f"{1000 * (times[-1] - times[0]):.1f}")
        print(
            f"{_CLIENTS} clients, one new preview, {_CROWDS} times: {origin.fetches} fetches; "
            f"from the first answer to the last {', '.join(spreads)} ms"
        )


def _told(what: str, origin: _Counting, rate: float) -> None:
    print(f"{what}: {origin.fetches} fetches, {rate:.0f} previews/s")
    origin.fetches = 0


async def _ask(port: int, paths: Iterable[str], at_once: int) -> list[float]:
    """Give when each was answered, in order, in seconds from the start.

    Raises:
        aiohttp.ClientError: one was not answered, or not with a 200.

    """
    waiting, answered, begun = iter(paths), list[float](), time.perf_counter()
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

        async def client() -> None:
            for path in waiting:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    await answer.read()
                answered.append(time.perf_counter())

        await asyncio.gather(*(client() for _ in range(at_once)))
    return [when - begun for when in answered]


if __name__ == "__main__":
    main()
