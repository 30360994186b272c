"""Clients that keep the service waiting: bounded in time and in memory."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_HEAD = b"GET /fill/30/20/sample:cat.jpg HTTP/1.1\r\nHost: h\r\n"


@contextlib.contextmanager
def connection(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        yield client


def closed_after(client: socket.socket, trickle: bytes = b"") -> float:
    """Give the seconds until the service hangs up; `trickle` is sent again and again till then."""
    begun = time.monotonic()
    client.settimeout(0.2 if trickle else 30)
    while True:
        try:
            if trickle:
                client.sendall(trickle)
            if not client.recv(65536):
                return time.monotonic() - begun
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - begun


_SLOW = {
    "silent": (b"", b""),
    "one byte": (b"G", b""),
    "half a head": (_HEAD, b""),
    "a trickle": (_HEAD, b"X-A: 1\r\n"),
    "empty lines": (b"", b"\r\n"),
    "empty lines after an answer": (_HEAD + b"\r\n", b"\r\n"),
    "the second request": (_HEAD + b"\r\n" + _HEAD, b"X-A: 1\r\n"),
}
"""What is sent first, and then again and again."""


def test_a_head_that_does_not_come_ends_the_connection(service: Service) -> None:
    def kept(sent: bytes, trickle: bytes) -> float:
        with connection(service) as client:
            client.sendall(sent)
            return closed_after(client, trickle)

    with ThreadPoolExecutor(len(_SLOW)) as clients:
        times = {name: clients.submit(kept, *what) for name, what in _SLOW.items()}
    assert {name: 3 < time.result() < 20 for name, time in times.items()} == dict.fromkeys(
        _SLOW, True
    )


def test_a_client_that_does_not_read_is_hung_up_on(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(PROXY_TIMEOUT="60", SOURCE_TIMEOUT="60")
    target = f"/fill/2000/1500/f=png/{origin.on('/noise', Reply(photo(1600, 1200)))}"
    assert len(service.get(target).body) > 2_000_000
    with connection(service) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(8 * f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        port = client.getsockname()[1]
        # Of a connection whose window is shut the client hears nothing more: ask the kernel.
        assert is_open(service.port, port)
        wait_until(lambda: not is_open(service.port, port), 60.0)


def is_open(port: int, client: int) -> bool:
    """Tell whether the service has its side of a connection (proc(5), /proc/net/tcp)."""
    ends = f":{port:04X} 0100007F:{client:04X} 01 "  # 01: established
    return ends in Path("/proc/net/tcp").read_text()
