from __future__ import annotations

import errno
import socket
import struct
import subprocess
from ipaddress import ip_address

import pytest

from micropic.adapters import own_addresses
from micropic.adapters.own_addresses import _can_be_bound, _is_refused, _is_routed_here, is_own
from tests.support.network import NoNetworkError, in_own_network

OWN = ["127.0.0.1", "127.8.8.8", "::1"]
OTHERS = ["8.8.8.8", "192.0.2.7", "2620:fe::fe"]


@pytest.mark.parametrize("ask", [is_own, _is_routed_here, _can_be_bound])
def test_the_addresses_of_this_machine_are_its_own(ask: object) -> None:
    assert callable(ask)
    assert [address for address in OWN + OTHERS if ask(ip_address(address))] == OWN


def test_what_becomes_an_address_of_the_machine_is_one_at_once() -> None:
    """First and further addresses of an interface, and those that no interface has."""

    def work() -> list[list[str]]:
        found = []
        for command in (
            "address add 9.9.9.10/32 dev lo",
            "address add 2620:fe::fe/128 dev lo nodad",
            "route add local 9.8.0.0/16 dev lo",
            "address del 9.9.9.10/32 dev lo",
        ):
            subprocess.run(["ip", *command.split()], check=True)
            asked = ["9.9.9.9", "9.9.9.10", "2620:fe::fe", "9.8.7.6", "8.8.8.8"]
            found.append([address for address in asked if is_own(ip_address(address))])
        return found

    try:
        found = in_own_network(["9.9.9.9/32"], work)
    except NoNetworkError as error:
        pytest.skip(f"no network of its own: {error}")
    assert found == [
        ["9.9.9.9", "9.9.9.10"],
        ["9.9.9.9", "9.9.9.10", "2620:fe::fe"],
        ["9.9.9.9", "9.9.9.10", "2620:fe::fe", "9.8.7.6"],
        ["9.9.9.9", "2620:fe::fe", "9.8.7.6"],
    ]


def test_a_system_without_netlink_is_asked_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")
    assert [address for address in OWN + OTHERS if is_own(ip_address(address))] == OWN


def test_where_no_route_leads_is_not_here_and_other_errors_say_nothing() -> None:
    header = bytes(own_addresses._HEADER.size)
    assert not _is_refused(header + struct.pack("=l", -errno.ENETUNREACH))
    with pytest.raises(PermissionError):
        _is_refused(header + struct.pack("=l", -errno.EPERM))
