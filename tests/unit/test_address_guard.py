from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.adapters.address_guard import (
    AddressDenied,
    AddressGuard,
    AddressRefused,
    networks_of,
)

_PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.255.255",
    "172.32.0.0", "168.63.129.15", "169.253.255.255", "192.0.1.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "2001:200::1",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip
_REFUSED = {
    "this network": ["0.0.0.0", "0.255.255.255", "::"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "carrier-grade NAT": ["100.64.0.0", "100.127.255.255"],
    "protocol assignments": ["192.0.0.1", "2001:20::1", "2001:1ff::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarking": ["198.18.0.0", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "5f00::1", "100::1"],
    "metadata": [
        "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192",
        "fd00:ec2::254", "fd20:ce::254",
    ],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8"],
    "6to4": ["2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:808:808::1", "192.88.99.1"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
}  # fmt: skip


@pytest.mark.parametrize("address", _PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert AddressGuard().allows(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [pytest.param(each, id=f"{why}: {each}") for why, all_ in _REFUSED.items() for each in all_],
)
def test_a_special_address_is_refused(address: str) -> None:
    assert not AddressGuard().allows(ip_address(address))


@given(st.ip_addresses())
def test_nothing_is_allowed_that_the_standard_library_knows_as_private(address: str) -> None:
    parsed = ip_address(address)
    if parsed.is_private or parsed.is_loopback or parsed.is_link_local or parsed.is_multicast:
        assert not AddressGuard().allows(parsed)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_counts_as_itself(address: str) -> None:
    guard = AddressGuard([ip_network("10.0.0.0/8")])
    plain = guard.allows(ip_address(address))
    assert guard.allows(ip_address(f"::ffff:{address}")) is plain
    assert guard.allows(ip_address(f"64:ff9b::{address}")) is plain


@pytest.mark.parametrize(
    ("networks", "address", "expected"),
    [
        (["127.0.0.0/8"], "127.0.0.1", True),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", True),
        (["127.0.0.0/8"], "::1", False),
        (["127.0.0.0/8"], "10.0.0.1", False),
        (["127.0.0.0/8"], "8.8.8.8", True),
        (["::1/128"], "::1", True),
        (["::1/128"], "127.0.0.1", False),
        (["10.1.0.0/16", "fd00::/8"], "10.1.2.3", True),
        (["10.1.0.0/16", "fd00::/8"], "10.2.0.0", False),
        (["10.1.0.0/16", "fd00::/8"], "fd12::1", True),
    ],
)
def test_the_operator_lets_in_networks_and_nothing_beside_them(
    networks: list[str], address: str, *, expected: bool
) -> None:
    guard = AddressGuard(ip_network(network) for network in networks)
    for _ in range(2):
        assert guard.allows(ip_address(address)) is expected


def _info(address: str) -> tuple[object, ...]:
    return socket.getaddrinfo(
        address, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]  # fmt: skip


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1%1"])
def test_no_socket_is_made_for_a_refused_address_and_it_is_not_named(address: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        AddressGuard().open_socket(_info(address))
    assert address.partition("%")[0] not in str(caught.value)


@pytest.mark.parametrize(
    ("network", "address", "family"),
    [
        ("127.0.0.0/8", "127.0.0.1", socket.AF_INET),
        ("fe80::/10", "fe80::1%1", socket.AF_INET6),
    ],
)
def test_a_socket_is_made_for_an_allowed_address(
    network: str, address: str, family: socket.AddressFamily
) -> None:
    with AddressGuard([ip_network(network)]).open_socket(_info(address)) as made:
        assert (made.family, made.type) == (family, socket.SOCK_STREAM)


_DENIED_FORMS = [
    "127.0.0.2", "::ffff:127.0.0.2", "::127.0.0.2", "::ffff:0:127.0.0.2", "64:ff9b::127.0.0.2",
    "64:ff9b:1::127.0.0.2", "2002:7f00:2::1", "2001:0:7f00:2::1", "2a00::5efe:127.0.0.2",
]  # fmt: skip


@pytest.mark.parametrize("network", ["127.0.0.2/32", "::ffff:127.0.0.2/128", "64:ff9b::7f00:2"])
@pytest.mark.parametrize("address", _DENIED_FORMS)
def test_what_is_denied_is_denied_in_every_form_whatever_is_allowed(
    network: str, address: str
) -> None:
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert AddressGuard(everything).allows(ip_address(address))
    guard = AddressGuard(everything, [ip_network(network)])
    assert not guard.allows(ip_address(address))
    for other in ("127.0.0.3", "::ffff:127.0.0.3", "8.8.8.8", "2606:4700::7f00:2", "::1"):
        assert guard.allows(ip_address(other))


def test_a_denied_network_of_ipv6_is_denied() -> None:
    guard = AddressGuard([], [ip_network("2606:4700::/32")])
    assert not guard.allows(ip_address("2606:4700::1"))
    assert guard.allows(ip_address("2606:4701::1"))
    with pytest.raises(AddressDenied):
        guard.open_socket(_info("2606:4700::1"))


def test_a_network_in_mapped_form_is_allowed_as_the_one_it_leads_to() -> None:
    guard = AddressGuard([ip_network("::ffff:10.0.0.0/104")])
    assert guard.allows(ip_address("10.1.2.3"))
    assert guard.allows(ip_address("::ffff:10.1.2.3"))
    assert not guard.allows(ip_address("192.168.0.1"))


def test_addresses_among_patterns_of_hosts_are_networks() -> None:
    patterns = ["a.example", "*.example", "127.1", "10.*", "[::ffff:7f00:2]", "0:0::5", "b:80"]
    assert networks_of(patterns) == [
        ip_network("127.0.0.1/32"),
        ip_network("::ffff:7f00:2/128"),
        ip_network("::5/128"),
    ]
