"""Shared caches in front of the service: nginx and Varnish, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Self

import pytest

from tests.support.client import Answer, Fields, ask
from tests.support.ports import answers, free_ports
from tests.support.process import OwnProcess
from tests.support.waiting import wait_until

_NGINX = """
{user}daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    proxy_cache_path {directory}/cache keys_zone=previews:1m;
    server {{
        listen 127.0.0.1:{port};
        underscores_in_headers on;
        large_client_header_buffers 4 64k;
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_set_header Range $http_range;
            proxy_cache previews;
            add_header X-Front $upstream_cache_status always;
        }}
    }}
}}
"""


class FrontCache(OwnProcess):
    """A cache on loopback that asks `backend`, a port, for what it lacks."""

    binary: str
    package: str
    withheld: AbstractSet[str] = frozenset()
    """The fields of a client that a fetch does without."""

    def __init__(self, directory: Path, backend: int) -> None:
        self._directory = directory
        self._backend = backend
        (self.port,) = free_ports(1)

    def start(self) -> Self:
        """Start, and wait until it listens."""
        server = shutil.which(self.binary, path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if server is None:
            pytest.skip(f"{self.binary} is missing: apt-get install {self.package}")
        with (self._directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [server, *self._arguments()], stdout=output, stderr=output
            )
        wait_until(self._started)
        return self

    def close(self) -> None:
        """Let nothing of it outlive the test."""
        self._process.terminate()
        self._process.wait(15)

    def get(self, target: str, headers: Fields = ()) -> Answer:
        """Send one request."""
        return ask(self.port, target, headers)

    def was_hit(self, answer: Answer) -> bool:
        """Return True if it answered from its own memory."""
        raise NotImplementedError

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def _started(self) -> bool:
        assert self._process.poll() is None, (self._directory / "output").read_text()
        return answers(self.port)


class Nginx(FrontCache):
    """`proxy_cache`; Range is handed on, as `slice` and many a configuration do."""

    binary, package = "nginx", "nginx-light"

    def was_hit(self, answer: Answer) -> bool:
        """Return True if it answered from its cache."""
        return answer.headers["X-Front"] == "HIT"

    def _arguments(self) -> list[str]:
        config = self._directory / "nginx.conf"
        config.write_text(
            _NGINX.format(
                user="user root; " if os.geteuid() == 0 else "",  # else it cannot enter `directory`
                directory=self._directory,
                port=self.port,
                backend=self._backend,
            )
        )
        return ["-p", str(self._directory), "-e", str(self._directory / "error.log"),
                "-c", str(config)]  # fmt: skip


class Varnish(FrontCache):
    """Its built-in VCL, by which a cookie or an Authorization goes past the cache."""

    binary, package = "varnishd", "varnish"
    withheld = frozenset({"Cache-Control", "Range"})

    def was_hit(self, answer: Answer) -> bool:
        """Return True if it answered from its cache: then it names two transactions."""
        return len(answer.headers["X-Varnish"].split()) > 1

    def _arguments(self) -> list[str]:
        return ["-F", "-n", str(self._directory / "work"), "-a", f"127.0.0.1:{self.port}",
                "-b", f"127.0.0.1:{self._backend}", "-s", "malloc,8m", "-p", "http_req_hdr_len=64k",
                "-p", "http_req_size=128k", "-p", "workspace_client=512k",
                "-p", "workspace_backend=512k", "-T", "none", "-j", "none"]  # fmt: skip
