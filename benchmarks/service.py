"""The service under test: `micropic serve` as its users run it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.processes import free_port, running, wait_for

SIZE = (300, 200)
"""Pixels, width and height, of every preview."""

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What the service sees of our environment: no setting of a developer's own."""


class WrongAnswerError(Exception):
    """The service answered something that is no preview of the right size."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers on a port of 127.0.0.1."""

    port: int
    pid: int

    def fetch(self, path: str) -> bytes:
        """Give the preview at `path`.

        Raises:
            WrongAnswerError: it is not a JPEG of 300x200 pixels.

        """
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                body: bytes = answer.read()
            with Image.open(io.BytesIO(body)) as image:
                image.load()
        except OSError as error:
            msg = f"{path}: {error}"
            raise WrongAnswerError(msg) from error
        if (image.format, image.size) != ("JPEG", SIZE):
            msg = f"{path} is a {image.format} of {image.size}"
            raise WrongAnswerError(msg)
        return body

    def etag(self, path: str) -> str:
        """Give the ETag of the preview at `path`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return str(answer.headers["ETag"])

    def fetch_all(self, prefix: str, names: Sequence[str]) -> list[bytes]:
        """Give the previews of all photos below `prefix`; see `fetch`."""
        return [self.fetch(f"{prefix}/{name}") for name in names]


@contextlib.contextmanager
def serving(scratch: Path, **settings: str) -> Iterator[Service]:
    """Run a service with an empty cache and its log in a file, until the block ends.

    `scratch` is a folder that it makes; `settings` are by their names in the environment.
    """
    scratch.mkdir()
    port, log = free_port(), scratch / "output"
    defaults = {
        "PROXY_HOST": "127.0.0.1",
        "PROXY_PORT": str(port),
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": "0",
        "SOURCE_ALLOW_NETWORKS": "127.0.0.0/8",
        "CACHE_DIRNAME": str(scratch / "cache"),
        "LOG_FILE": str(scratch / "log"),
    }
    command = [sys.executable, "-m", "micropic", "serve"]
    with running(command, log, environment(**defaults | settings)) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz", process, log)
        yield Service(port, process.pid)


def environment(**settings: str) -> dict[str, str]:
    """Give what a process of ours sees: `settings`, and of our environment what it needs."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | settings


def preview_path(origin_port: int, label: str, options: str = "") -> str:
    """Give the path of previews without the photo's name; `label` makes them new ones."""
    width, height = SIZE
    steps = ["", "fill", str(width), str(height), options, f"127.0.0.1:{origin_port}", label]
    return "/".join(step for number, step in enumerate(steps) if step or number == 0)
