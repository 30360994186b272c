"""Large previews: a request for little of one costs little, and slow clients pin no memory."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from micropic.adapters import entry
from micropic.domain.model import Preview
from tests.support.client import ask
from tests.support.cluster import Cluster
from tests.support.origin import Origin, Reply
from tests.support.scrape import Scrape
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

MIB = 1024**2
_SIZE = "/fill/2000/1200/g=center,f=png"


def noise(seed: int = 1, width: int = 1000, height: int = 600) -> bytes:
    """Give a picture that no codec makes small."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", compress_level=1)
    return file.getvalue()


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(
        request,
        tmp_path_factory.mktemp("large"),
        PROXY_TIMEOUT="60",
        SOURCE_TIMEOUT="60",
        RENDER_TIMEOUT="60",
        CACHE_MEMORY="0",
        GRPC_TIMEOUT="5",
    )


def file_of(service: Service, body: bytes) -> Path:
    """Find the entry that holds this body."""
    cache = service.shared_cache.cache if isinstance(service, Cluster) else service.cache
    (found,) = (
        path
        for path in (cache / f"v{entry.VERSION}").rglob("*")
        if path.is_file() and path.stat().st_size > len(body) and body in path.read_bytes()
    )
    return found


def damage(path: Path, body: bytes, offset: int) -> None:
    """Change one byte of the body, in the file as it is."""
    start = path.read_bytes().index(body)
    with path.open("r+b") as file:
        file.seek(start + offset)
        file.write(bytes([body[offset] ^ 1]))


def test_what_needs_no_body_reads_none_and_no_damaged_part_is_served(
    service: Service, origin: Origin
) -> None:
    target = f"{_SIZE}/{origin.on('/noise', Reply(noise()))}"
    whole = service.get(target)
    assert whole.status == 200
    assert len(whole.body) > 4 * MIB
    file = file_of(service, whole.body)
    at = len(whole.body) // 2
    damage(file, whole.body, at)

    # Whoever reads the body finds the damage: none of these does.
    head = service.get(target, method="HEAD")
    assert head.cache_status == "micropic; hit"
    assert head.headers["Content-Length"] == str(len(whole.body))
    tags = ", ".join([*(f'"{number}"' for number in range(100)), whole.headers["ETag"]])
    for fields in ({"If-None-Match": whole.headers["ETag"]}, {"If-None-Match": tags}):
        assert service.get(target, fields).status == 304
    beyond = service.get(target, {"Range": f"bytes={len(whole.body)}-"})
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole.body)}"
    for first, last in ((0, 0), (5, 300_000), (len(whole.body) - 9, len(whole.body) - 1)):
        part = service.get(target, {"Range": f"bytes={first}-{last}"})
        assert (part.status, part.body) == (206, whole.body[first : last + 1])
    assert file.exists()

    # Those that need the damaged block get the bytes as they were, made again.
    wanted = {f"bytes={at}-{at}": (206, whole.body[at : at + 1]), "bytes=0-": (206, whole.body)}
    for asked, expected in wanted.items():
        answer = service.get(target, {"Range": asked})
        assert (answer.status, answer.body) == expected
        assert answer.headers["Cache-Status"].startswith("micropic; fwd=miss")
        damage(file_of(service, whole.body), whole.body, at)
    again = service.get(target)
    assert (again.cache_status, again.body) == ("micropic; fwd=miss", whole.body)


def test_a_source_whose_entry_is_damaged_is_fetched_again(service: Service, origin: Origin) -> None:
    picture = noise(2)
    source = origin.on("/source", Reply(picture))
    assert service.get(f"/fill/30/20/{source}").status == 200
    cache = service.shared_cache.cache if isinstance(service, Cluster) else service.cache
    (file,) = (
        path
        for path in (cache / "sources").rglob("*")
        if path.is_file() and picture in path.read_bytes()
    )
    assert service.get(f"/fill/31/20/{source}").status == 200
    assert origin.targets == ["/source"]
    damage(file, picture, len(picture) - 1)
    assert service.get(f"/fill/32/20/{source}").status == 200
    assert origin.targets == ["/source", "/source"]


@contextlib.contextmanager
def unread(service: Service, target: str) -> Iterator[socket.socket]:
    """Ask, and read nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", service.port))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        yield client


def memory(service: Service) -> int:
    """Give the bytes that a service has in memory (proc(5))."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_clients_that_read_nothing_hold_a_piece_each(service: Service, origin: Origin) -> None:
    target = f"{_SIZE}/{origin.on('/unread', Reply(noise(3)))}"
    size = len(service.get(target).body)
    before = memory(service)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(unread(service, target)) for _ in range(40)]
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: Scrape(service).value("micropic_response_buffer_bytes") >= 40 * 256**2)
        held = Scrape(service).value("micropic_response_buffer_bytes")
        assert held <= 40 * MIB < 10 * size
        assert memory(service) - before < 100 * MIB < 40 * size
        assert service.get("/fill/30/20/sample:cat.jpg").status == 200
    wait_until(lambda: Scrape(service).value("micropic_response_buffer_bytes") == 0)


def test_responses_beyond_the_memory_budget_are_503_and_recover(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(
        PROXY_TIMEOUT="60",
        SOURCE_TIMEOUT="60",
        RENDER_TIMEOUT="60",
        PROXY_MAX_RESPONSE_BYTES_IN_FLIGHT="3MiB",
    )
    target = f"{_SIZE}/{origin.on('/noise', Reply(noise()))}"
    assert service.get(target).status == 200
    with contextlib.ExitStack() as stack:
        answers = [stack.enter_context(unread(service, target)).recv(12) for _ in range(20)]
        assert answers.count(b"HTTP/1.1 503") >= 8
        refused = service.get(target)
        assert refused.error == (503, "overloaded")
        assert refused.headers["Retry-After"]
        assert service.get(target, method="HEAD").status == 200
        assert service.get("/fill/30/20/sample:cat.jpg").status == 200
        assert Scrape(service).value("micropic_refusals_total", queue="responses") >= 9
    wait_until(lambda: service.get(target).status == 200)


def test_a_client_that_leaves_ends_the_reading_of_its_body(
    service: Service, origin: Origin
) -> None:
    target = f"{_SIZE}/{origin.on('/left', Reply(noise(4)))}"
    assert service.get(target).status == 200
    with unread(service, target) as client:
        assert client.recv(12) == b"HTTP/1.1 200"
    wait_until(lambda: Scrape(service).value("micropic_response_buffer_bytes") == 0)
    lines = wait_until(
        lambda: [line for line in service.events("request") if line["path"] == target][1:]
    )
    assert lines[0]["bytes"] < 4 * MIB


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(
        request, tmp_path_factory.mktemp("strict"), RENDER_MAX_PREVIEW_BYTES="100KiB"
    )


def test_a_preview_of_too_many_bytes_is_413_and_another_size_is_not(
    strict: Service, origin: Origin
) -> None:
    source = origin.on("/noise", Reply(noise(5, 400, 300)))
    for _ in range(3):
        refused = strict.get(f"/fill/400/300/f=png/{source}")
        assert refused.error == (413, "preview_too_large")
        assert "RENDER" not in refused.problem["detail"]
    makers = strict.workers if isinstance(strict, Cluster) else [strict]
    made = sum(
        Scrape(maker).value("micropic_previews_total", outcome="preview_too_large")
        for maker in makers
    )
    assert made == 1, "it is remembered for this preview"
    assert strict.get(f"/fill/40/30/f=png/{source}").picture.size == (40, 30)


def test_a_defect_in_building_a_response_is_one_logged_problem(
    start_service: StartService,
) -> None:
    service = start_service()
    target = "/fill/30/20/sample:cat.jpg"
    assert service.get(target).status == 200
    service.stop()
    (file,) = (path for path in (service.cache / f"v{entry.VERSION}").rglob("*") if path.is_file())
    key, kept = entry.unpack(file.read_bytes())
    unknown = Preview(kept.body, "image/x-unknown", kept.stored_at, kept.lifetime, kept.source)
    file.write_bytes(b"".join(entry.pack(key, unknown)))
    service.start()
    answer = service.get(target, {"X-Request-Id": "owl-1"})
    assert answer.error == (500, "internal_error")
    assert answer.problem["request_id"] == "owl-1"
    (defect,) = service.events("defect")
    assert defect["request_id"] == "owl-1"
    (line,) = service.events("request")
    assert (line["status"], line["request_id"]) == (500, "owl-1")


def test_a_date_that_cannot_stand_in_a_header_is_left_out(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service()
    date = "Wed, 21 Oct 2015 07:28:00 GMT (\u00e9)"
    source = origin.on("/a", Reply(noise(6, 40, 30), headers={"Last-Modified": date}))
    answer = ask(service.port, f"/fill/30/20/{source}")
    assert answer.status == 200
    assert "Last-Modified" not in answer.headers
