"""Clients by the thousand, and requests by the thousand on one connection: bounded in memory."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply
from tests.support.service import Service, StartService
from tests.support.waiting import wait_until

IDLE = 5000
"""Connections."""
MOST_EACH = 32
"""kB of memory that an idle one may take; it was 10 where this was written."""
_SAMPLE = "/fill/30/20/sample:cat.jpg"
_GET = b"GET /healthz HTTP/1.1\r\nHost: h\r\n"


def memory(service: Service) -> int:
    """Give the resident memory of a service, in kB (proc(5))."""
    pages = int(Path(f"/proc/{service.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def descriptors(service: Service) -> int:
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have as many connections open, as the service does for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 500:
        pytest.skip(f"it takes {IDLE} open files, and {hard} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_five_thousand_idle_connections_keep_nobody_waiting(start_service: StartService) -> None:
    """Each has had an answer and is kept for the next request."""
    service = start_service()
    service.get(_SAMPLE)
    before, files = memory(service), descriptors(service)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.sendall(_GET + b"\r\n")
            assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
        assert descriptors(service) >= IDLE
        assert service.get("/fill/31/21/sample:cat.jpg").picture.size == (31, 21)
        each = (memory(service) - before) / IDLE
        print(f"an idle connection takes {each:.1f} kB")  # noqa: T201 # for -rA
        assert each < MOST_EACH
    wait_until(lambda: descriptors(service) <= files + 1)


def test_requests_behind_one_that_takes_its_time_are_bounded(
    service: Service, origin: Origin
) -> None:
    gate = origin.gate()
    first = f"GET /fill/30/20/{origin.on('/a', Reply(b'x', gate=gate))} HTTP/1.1\r\nHost: h\r\n\r\n"
    before = memory(service)
    clients = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(20)]
    for client in clients:
        client.sendall(first.encode())
    wait_until(lambda: len(origin.requests) > 0)
    for client in clients:
        with contextlib.suppress(ConnectionError):
            client.sendall((_GET + b"\r\n") * 5000)
        with contextlib.suppress(ConnectionError):
            assert client.recv(1024) == b""
        client.close()
    gate.open()
    assert memory(service) - before < 20_000
    assert service.get(_SAMPLE).status == 200


def test_fifty_requests_at_once_are_answered_in_their_order(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        for number in range(50):
            client.sendall(_GET + b"X-Request-Id: %d\r\n\r\n" % number)
        received = b""
        while received.count(b'{"status":"ok"}') < 50:
            received += client.recv(65536)
    ids = [line.split()[1] for line in received.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"%d" % number for number in range(50)]


def test_what_is_no_request_is_not_the_answer_to_the_one_before(
    service: Service, origin: Origin
) -> None:
    gate = origin.gate()
    source = origin.on("/a", Reply(b"x", gate=gate))
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        client.sendall(f"GET /fill/30/20/{source} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        wait_until(lambda: origin.requests)
        client.sendall(b"no HTTP\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert client.recv(1024) == b""
    gate.open()


def test_header_fields_are_bounded_in_number(service: Service) -> None:
    """What is read of a header is remembered for the next request with the same one."""
    before = memory(service)
    for number in range(200):
        fields = {f"X-{n}": str(number) for n in range(1500)}
        assert service.get(_SAMPLE, fields).error == (400, "bad_request")
    assert memory(service) - before < 20_000
    assert service.get(_SAMPLE, {f"X-{n}": "1" for n in range(200)}).status == 200


def test_what_follows_a_body_in_chunks_is_kept_nowhere(service: Service) -> None:
    before = memory(service)
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(b"a: b\r\n" * 1000)
    assert memory(service) - before < 20_000
    assert service.get(_SAMPLE).status == 200
