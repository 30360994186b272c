"""Every form of an address that must not be reached: asked for, and redirected to.

Each row is a host as it may stand in an address, and what its request comes to. On the port that
it is asked for at, somebody listens on every address of this machine, and must hear nothing.
"""

# ruff: noqa: RUF001 # some of the letters are to be mistaken for others
from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from micropic.domain.source_rules import BAD_PORTS
from tests.support.names import Names
from tests.support.origin import Origin, Reply, redirect
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.shape import running

FORBIDDEN, NO_ADDRESS = (403, "source_forbidden"), (400, "bad_request")

LITERALS = {
    "IPv4 in every spelling": [
        "127.0.0.1", "127.0.0.1.", "127.255.255.254", "2130706433", "017700000001", "0x7f000001",
        "0X7F000001", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "0177.0.0x1", "0000177.0.0.1", "127.1",
        "127.0.1", "0x7f.1", "127.0.0.01", "0", "0.0.0.0", "00000000", "0x", "0xA9FEA9FE",
        "2852039166", "0251.0376.0251.0376", "169.254.43518", "10.1", "3232235777",
    ],
    "what IDNA makes of it": [
        "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "０ｘ7f.1",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ＬＯＣＡＬＨＯＳＴ", "local\u00adhost", "127.0.0.\u200b1",
    ],
    "special IPv4": [
        "0.1.2.3", "10.0.0.1", "100.64.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.254",
        "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    ],
    "metadata of clouds": [
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        "[fd00:ec2::254]", "[fd20:ce::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
    ],
    "IPv6": [
        "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[fc00::1]", "[FD12:3456::1]",
        "[fe80::1]", "[febf::1]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]",
        "[3fff::1]", "[2001:2::1]", "[5f00::1]",
    ],
    "IPv4 inside IPv6": [
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:10.0.0.1]", "[0:0:0:0:0:ffff:7f00:0001]",
        "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[64:ff9b:1::127.0.0.1]", "[64:ff9b:1:ffff::1]", "[2001::1]",
        "[2001:0:7f00:1:0:0:80ff:fffe]",
    ],
    "localhost": ["localhost", "LOCALHOST", "LocalHost", "a.localhost", "a.b.localhost"],
}  # fmt: skip

NAMES = {
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::127.0.0.1"],
    "wildcard.example": ["0.0.0.0"],
    "private.example": ["10.0.0.1", "192.168.0.1", "fd00::1"],
    "link-local.example": ["fe80::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "cgnat.example": ["100.64.0.1"],
}

NONE = [
    "[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%251]", "127.0.0.1%00.example", "%31%32%37.0.0.1",
    "127.0.0.1\u202e", "1.2.3.4.5", "127.0.0.256", "127.0.0.08", "4294967296", "127..1",
    "127.0.0.1..", "a.0x7f", "[127.0.0.1]", "[::1", "::1", "[::1].", "user@127.0.0.1",
    "127.0.0.1\\@example.com",
]  # fmt: skip

VECTORS = [
    *(pytest.param(host, FORBIDDEN, id=f"{why}: {host!a}")
      for why, hosts in LITERALS.items() for host in hosts),
    *(pytest.param(name, FORBIDDEN, id=f"names: {name}") for name in NAMES),
    pytest.param("LOOPBACK.EXAMPLE.", FORBIDDEN, id="names: root dot and upper case"),
    *(pytest.param(host, NO_ADDRESS, id=f"none: {host!a}") for host in NONE),
]  # fmt: skip


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with Names(NAMES) as server:
        yield server


@pytest.fixture(scope="module")
def allowed() -> Iterator[Origin]:
    """Give the one origin that may be asked."""
    with Origin("127.0.0.2") as origin:
        yield origin


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, names: Names
) -> Iterator[Service]:
    """Give a service that may reach nothing but public addresses and one of the loopback's."""
    settings = {"SOURCE_ALLOW_NETWORKS": "127.0.0.2/32", "SOURCE_NAMESERVERS": names.authority}
    yield from running(request, tmp_path_factory.mktemp("guarded"), **settings)


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Listen on every address of this machine."""
    dual = socket.has_dualstack_ipv6()
    family, host = (socket.AF_INET6, "::") if dual else (socket.AF_INET, "0.0.0.0")
    with socket.create_server((host, 0), family=family, dualstack_ipv6=dual) as listening:
        yield listening


def was_reached(listening: socket.socket) -> bool:
    """Tell whether anybody has connected, also who is gone again."""
    return bool(select.select([listening], [], [], 0)[0])


@pytest.mark.parametrize(("host", "error"), VECTORS)
def test_no_form_of_an_address_gets_around_the_guard(
    guarded: Service, listener: socket.socket, host: str, error: tuple[int, str]
) -> None:
    place = f"http://{host}:{listener.getsockname()[1]}/a"
    source = place if place.isascii() else quote(place, safe="")
    assert guarded.get(f"/fill/30/20/{source}").error == error
    assert not was_reached(listener)


@pytest.mark.parametrize(("host", "error"), VECTORS)
def test_no_redirect_gets_around_the_guard(
    guarded: Service,
    allowed: Origin,
    listener: socket.socket,
    host: str,
    error: tuple[int, str],
) -> None:
    location = f"http://{host}:{listener.getsockname()[1]}/a".encode().decode("latin-1")
    start = allowed.on(f"/{location.encode().hex()}", redirect(location))
    expected = (502, "origin_failed") if error == NO_ADDRESS else error
    assert guarded.get(f"/fill/30/20/{start}").error == expected
    assert not was_reached(listener)


class _Turning(dict[str, list[str]]):
    """Names that lead to another address when they are asked for again, or to two at once."""

    _chance = random.Random(1)

    def get(self, name: str, _: object = None) -> list[str]:
        addresses = ["127.0.0.2", "127.0.0.3"]
        return addresses if name.startswith("both") else [self._chance.choice(addresses)]


@pytest.mark.parametrize("kind", ["turning", "both"])
def test_a_name_that_turns_is_dialled_where_it_may_be_alone(
    start_service: StartService, allowed: Origin, kind: str
) -> None:
    """What is checked is what is dialled: between the two nobody asks for the name again."""
    names = _Turning()
    allowed.fallback = Reply(photo())
    with Names(names) as server, socket.create_server(("127.0.0.3", allowed.port)) as forbidden:
        service = start_service(
            SOURCE_ALLOW_NETWORKS="127.0.0.2/32", SOURCE_NAMESERVERS=server.authority
        )
        statuses = {
            service.get(f"/fill/30/20/{kind}{number}.example:{allowed.port}/a").status
            for number in range(20)
        }
        assert not was_reached(forbidden)
    assert 200 in statuses
    assert statuses <= {200, 403}


@pytest.mark.parametrize("port", sorted(BAD_PORTS))
def test_no_port_of_another_protocol_is_spoken_to(
    guarded: Service, allowed: Origin, port: int
) -> None:
    place = f"http://127.0.0.2:{port}/a"
    assert guarded.get(f"/fill/30/20/{place}").error == FORBIDDEN
    start = allowed.on(f"/to-{port}", redirect(place))
    assert guarded.get(f"/fill/30/20/{start}").error == FORBIDDEN


DENIED = [
    "127.0.0.2", "2130706434", "0x7f.2", "0177.0.0.2", "127.2", "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]", "[::127.0.0.2]", "[::ffff:0:127.0.0.2]", "[64:ff9b::127.0.0.2]",
    "[64:ff9b:1::127.0.0.2]", "[2002:7f00:2::1]", "[2001:0:7f00:2::1]", "[2001:db8::5efe:7f00:2]",
    "127.0.0.4", "[::ffff:127.0.0.4]", "127.0.6.1", "[::ffff:127.0.6.1]", "denied.example",
    "mapped-denied.example", "denied-host.example", "nat64-denied.example",
]  # fmt: skip
"""Forms of addresses that the operator denies by network, by host and by a pattern of hosts."""
DENIED_NAMES = {
    "denied.example": ["127.0.0.2"],
    "mapped-denied.example": ["::ffff:127.0.0.2"],
    "denied-host.example": ["127.0.0.4"],
    "nat64-denied.example": ["64:ff9b::127.0.0.2"],
    "allowed.example": ["127.0.0.5"],
}


@pytest.fixture(scope="module")
def allowed_beside() -> Iterator[Origin]:
    """Give an origin that no list denies."""
    with Origin("127.0.0.5") as origin:
        yield origin


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def denying(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service whose operator allows every network and denies a few."""
    with Names(DENIED_NAMES) as server:
        settings = {
            "SOURCE_ALLOW_NETWORKS": "0.0.0.0/0,::/0",
            "SOURCE_DENY_NETWORKS": "127.0.0.2/32",
            "SOURCE_DENY_HOSTS": "127.0.0.4,127.0.6.*",
            "SOURCE_NAMESERVERS": server.authority,
        }
        yield from running(request, tmp_path_factory.mktemp("denying"), **settings)


@pytest.mark.parametrize("host", DENIED)
def test_no_form_of_a_denied_address_is_fetched_from(
    denying: Service, allowed_beside: Origin, listener: socket.socket, host: str
) -> None:
    place = f"http://{host}:{listener.getsockname()[1]}/a"
    assert denying.get(f"/fill/30/20/{place}").error == FORBIDDEN
    start = allowed_beside.on(f"/{host.encode().hex()}", redirect(place))
    assert denying.get(f"/fill/30/20/{start}").error == FORBIDDEN
    assert not was_reached(listener)


def test_what_is_not_denied_is_fetched_under_a_name(
    denying: Service, allowed_beside: Origin
) -> None:
    allowed_beside.on("/good", Reply(photo()))
    for host in ("127.0.0.5", "allowed.example"):
        source = f"{host}:{allowed_beside.port}/good"
        assert denying.get(f"/fill/30/20/{source}").picture.size == (30, 20)
