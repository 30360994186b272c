"""The server that has the photos: nginx, or aiohttp where there is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from benchmarks.photos import Photos
from benchmarks.processes import NotStartedError, free_port, running, wait_for

# One process, so that no worker changes to a user who may not read the folders.
_NGINX = """
daemon off;
master_process off;
worker_processes 1;
error_log stderr;
pid {scratch}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type image/jpeg;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    uwsgi_temp_path {scratch}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location = /still.jpg {{ alias {scratch}/still.jpg; }}
        location ~ "^/[^/]+/([^/]+[.]jpg)$" {{ alias {photos}/$1; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Answers `/{anything}/{photo}` on a port of 127.0.0.1."""

    port: int
    name: str
    """The server, for people."""
    still: Path | None = None
    """The file that nginx answers to /still.jpg."""


@contextlib.contextmanager
def serving(photos: Photos, scratch: Path) -> Iterator[Origin]:
    """Serve `photos` until the block ends; `scratch` is a folder for what that takes."""
    with contextlib.ExitStack() as stack:
        try:
            origin = stack.enter_context(_nginx(photos, scratch))
        except NotStartedError as error:
            print(f"aiohttp is the origin: {error}", file=sys.stderr)
            origin = stack.enter_context(_aiohttp(photos, scratch))
        yield origin


@contextlib.contextmanager
def _nginx(photos: Photos, scratch: Path) -> Iterator[Origin]:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if nginx is None:
        msg = "there is no nginx"
        raise NotStartedError(msg)
    port, config, log = free_port(), scratch / "nginx.conf", scratch / "nginx.log"
    config.write_text(_NGINX.format(scratch=scratch, port=port, photos=photos.folder))
    with running([nginx, "-p", str(scratch), "-e", "stderr", "-c", str(config)], log) as process:
        wait_for(_any_photo(photos, port), process, log)
        yield Origin(port, "nginx", scratch / "still.jpg")


@contextlib.contextmanager
def _aiohttp(photos: Photos, scratch: Path) -> Iterator[Origin]:
    port, log = free_port(), scratch / "origin.log"
    command = [sys.executable, "-m", "benchmarks.origin", str(photos.folder), str(port)]
    with running(command, log) as process:
        wait_for(_any_photo(photos, port), process, log)
        yield Origin(port, "aiohttp")


def _any_photo(photos: Photos, port: int) -> str:
    return f"http://127.0.0.1:{port}/any/{photos.names[0]}"


def main() -> None:
    """Serve the photos of the folder and on the port that the command line names."""
    bodies = {path.name: path.read_bytes() for path in Path(sys.argv[1]).glob("*.jpg")}

    async def answer(request: web.Request) -> web.Response:
        body = bodies.get(request.match_info["name"])
        if body is None:
            raise web.HTTPNotFound
        return web.Response(body=body, content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{anything}/{name}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)


if __name__ == "__main__":
    main()
