"""What takes the service long to read: paths and fields of 30 kB, made to be split and masked.

The CPU time of each is compared with that of a request as long which has nothing to split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import send
from tests.support.service import Service
from tests.support.shape import running
from tests.support.waiting import wait_until

SIZE = 30_000
REQUESTS = 40
PREVIEW = "/fill/9/9/sample:cat.jpg"
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(
        request,
        tmp_path_factory.mktemp("long"),
        PROXY_TRUSTED="127.0.0.0/8",
        CACHE_NEGATIVE_AGE="0",
    )


def cpu(service: Service) -> float:
    """Return the CPU time of the service so far, in seconds."""
    fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cost(service: Service, path: str, field: str = "") -> float:
    """Return the CPU time of requests, each a little different from the others."""
    before = cpu(service)
    for number in range(REQUESTS):
        target = path if field else f"{path}{number}"
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: h",
            "Connection: close",
            f"{field or 'X-A: '}{number}",
        ]
        answer = send(service.port, "\r\n".join([*lines, "", ""]).encode())
        assert answer.status in {200, 400, 508}
    return cpu(service) - before


def repeated(piece: str) -> str:
    return piece * (SIZE // len(piece))


@pytest.fixture(scope="module")
def most(service: Service) -> float:
    """Return the CPU time that is granted: several times that of what has nothing to split."""
    assert service.get(PREVIEW).status == 200
    plain = [cost(service, "/fill/9/9/h/" + repeated("a")),
             cost(service, PREVIEW, "X-A: " + repeated("a"))]  # fmt: skip
    return 4 * max(plain) + 0.08


@pytest.mark.parametrize("piece", ["/", "/a:b@", "%2F%40", "?&=", "?;", "@:", "%"])
def test_a_long_path_costs_what_its_bytes_cost(service: Service, most: float, piece: str) -> None:
    assert cost(service, "/fill/9/9/h/a:b" + repeated(piece)) < most


@pytest.mark.parametrize(
    "field",
    ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ", "Connection: close",
     "Cache-Control: no-cache", "CDN-Loop: x", 'If-None-Match: "a"', "Accept: a;q=1"],
)  # fmt: skip
def test_a_long_field_costs_what_its_bytes_cost(service: Service, most: float, field: str) -> None:
    name, _, value = field.partition(": ")
    assert cost(service, PREVIEW, f"{name}: {repeated(value + ',')}") < most


def test_the_log_has_the_beginning_of_a_long_path_and_none_of_its_secrets(
    service: Service,
) -> None:
    target = "/fill/9/9/h/" + "a/" * 1000 + "user:" + "SECRET" * 5000 + "@h/a?token=SECRET"
    service.get(target, {"X-Request-Id": "long"})
    lines = wait_until(
        lambda: [line for line in service.events("request") if line["request_id"] == "long"]
    )
    (line,) = lines
    assert line["path"] == target[: target.index("user:")] + "..."
    assert line["path_bytes"] == len(target)
    assert "SECRET" not in (service.directory / "log").read_text()
