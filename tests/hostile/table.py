"""Run the table of bad origins against a service."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator, Mapping

from PIL import Image

from tests.hostile.cases import GROUPS, PAYLOAD, Case
from tests.support.client import Answer
from tests.support.names import Names
from tests.support.rude_origin import RudeOrigins
from tests.support.service import Service

ROWS = {f"{group}: {case.name}": case for group, cases in GROUPS.items() for case in cases}
SETTINGS = {
    "SOURCE_ALLOW_NETWORKS": "127.0.0.1/32",
    "SOURCE_MAX_BYTES": "1MiB",
    "SOURCE_TIMEOUT": "3",
    "SOURCE_CONNECT_TIMEOUT": "1",
    "PROXY_TIMEOUT": "30",
    "RENDER_TIMEOUT": "20",
    "CACHE_NEGATIVE_AGE": "0",
}
"""Of the services that are asked, beside `SOURCE_NAMESERVERS`."""
NAMES = {
    "private.example": ["10.0.0.1"],
    "both.example": ["10.0.0.1", "169.254.169.254"],
    "silent.example": None,
}
_CLIENTS = 8
_FIELDS = {
    "content-type", "content-disposition", "x-content-type-options", "accept-ranges", "etag",
    "last-modified", "vary", "cache-control", "cache-status", "x-origin-content-length", "age",
    "test-previewlocation", "server-timing", "retry-after", "cross-origin-resource-policy",
    "x-request-id", "content-length", "date", "www-authenticate",
}  # fmt: skip
"""All that may stand in an answer, whatever an origin says."""


def names() -> Names:
    """Give the name server that the services are to ask."""
    return Names(NAMES)


def run(service: Service) -> dict[str, str]:
    """Ask for a preview from each origin; give what came of it by the row's name.

    That is what stands in the table, or says what is wrong with an answer.
    """
    with (
        _places(service) as places,
        RudeOrigins(places) as origins,
        service.crowd(_CLIENTS) as crowd,
    ):
        here = dict(zip(ROWS, origins.serve(case.act for case in ROWS.values()), strict=True))
        asked = {
            name: crowd.ask(_target(case, {**places, "here": here[name]}), case.headers)
            for name, case in ROWS.items()
        }
        return {name: _told(answer.result()) for name, answer in asked.items()}


def _target(case: Case, places: Mapping[str, str]) -> str:
    return f"/fill/30/20{case.options}/{case.source.format(**places)}"


def _told(answer: Answer) -> str:
    if strange := {name.lower() for name in answer.headers} - _FIELDS:
        return f"{answer.status} with {', '.join(sorted(strange))}"
    if PAYLOAD in answer.body + str(answer.headers).encode():
        return f"{answer.status} with what it smuggled"
    if answer.status != 200:
        return "{} {}".format(*answer.error)
    with Image.open(io.BytesIO(answer.body)) as picture:
        picture.load()
        return "200" if picture.size == (30, 20) else f"200 of {picture.size}"


@contextlib.contextmanager
def _places(service: Service) -> Iterator[dict[str, str]]:
    """Give where the service is, where nobody listens, and where nobody is let in."""
    with contextlib.ExitStack() as stack:
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 # as the socket has it
            waiting.connect_ex(full.getsockname())
        ports = {
            "service": service.port,
            "closed": closed.getsockname()[1],
            "full": full.getsockname()[1],
        }
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}
