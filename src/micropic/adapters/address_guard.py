"""Which addresses may be dialled.

The ranges are those of the IANA special-purpose address registries (RFC 6890) that are not
globally reachable, and the addresses at which clouds hand credentials to whoever asks.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from micropic.adapters import own_addresses
from micropic.domain import hosts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's WireServer, a public address with private answers
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
    )
]
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that is unicast and global; unique local, link-local, multicast and ::1 lie outside."""
_REFUSED_IPV6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments; Teredo tunnels, which hide an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 tunnels, which hide an IPv4 address
        "3fff::/20",  # documentation
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TRANSLATED = (ipaddress.IPv6Network("::ffff:0:0/96"), _NAT64)
"""Who dials an address in one of these reaches the IPv4 address in its last 32 bits."""


class AddressRefused(OSError):
    """The address may not be dialled.

    The message never names the address: what a name resolves to inside a private network is
    nothing to tell a stranger.
    """

    def __init__(self) -> None:
        super().__init__("the address may not be dialled")


class AddressDenied(AddressRefused):
    """The address may not be dialled because `deny_networks` contains it."""


class AddressGuard:
    """Refuses private, local and otherwise special addresses, but for `allow_networks`.

    The public addresses of this machine are refused, too: what listens there often trusts it.
    `deny_networks` are refused in any case, also as an IPv4 address inside an IPv6 one.
    """

    def __init__(
        self, allow_networks: Iterable[Network] = (), deny_networks: Iterable[Network] = ()
    ) -> None:
        self._allowed = tuple(map(_translated, allow_networks))
        self._denied = tuple(map(_translated, deny_networks))

    def denies(self, address: Address) -> bool:
        """Return True if `deny_networks` contain `address`, or an IPv4 address inside it."""
        forms = (address, *hosts.embedded(address)) if self._denied else ()
        return any(form in network for form in forms for network in self._denied)

    def allows(self, address: Address) -> bool:
        """Tell whether `address` may be dialled; an IPv4 address inside an IPv6 one counts."""
        if self.denies(address):
            return False
        address = _unwrapped(address)
        if any(address in network for network in self._allowed):
            return True
        if isinstance(address, ipaddress.IPv4Address):
            return not any(address in network for network in _REFUSED_IPV4)
        return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)

    def _is_own(self, address: Address) -> bool:
        """Return True for a public address of this machine that no allowed network has."""
        address = _unwrapped(address)
        return own_addresses.is_own(address) and not any(
            address in network for network in self._allowed
        )

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for an address that is about to be dialled (`getaddrinfo`'s tuple).

        Raises:
            AddressRefused: the address may not be dialled.

        """
        family, kind, protocol, _, (host, *_) = info
        address = ipaddress.ip_address(host.partition("%")[0])
        if not self.allows(address):
            raise AddressDenied if self.denies(address) else AddressRefused
        if self._is_own(address):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


def networks_of(patterns: Iterable[str]) -> list[Network]:
    """Return the addresses among patterns of hosts, each as a network of its own."""
    found: list[Network] = []
    for pattern in patterns:
        with contextlib.suppress(ValueError):
            host = pattern if pattern.startswith("[") or ":" not in pattern else f"[{pattern}]"
            address = ipaddress.ip_address(hosts.normal(host).strip("[]"))
            found.append(ipaddress.ip_network(address))
    return found


def _unwrapped(address: Address) -> Address:
    """Give the IPv4 address that an IPv4-mapped or NAT64 (RFC 6052) address leads to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _translated(network: Network) -> Network:
    """Return the IPv4 network that an IPv4-mapped or NAT64 network leads to."""
    for outer in _TRANSLATED:
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(outer):
            first = _unwrapped(network.network_address)
            return ipaddress.IPv4Network(f"{first}/{network.prefixlen - outer.prefixlen}")
    return network
