"""Hosts as an address may name them, brought to one form.

IPv4 addresses in decimal, octal, hexadecimal and with fewer than four parts are read as browsers
read them (URL standard, "IPv4 parser"). Resolvers disagree on them (RFC 3986, section 7.4): a
list of hosts, or a server in front, could take one for another host than is dialled.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_LONGEST = 253
"""Characters of a name (RFC 1035, section 2.3.4)."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ACE_PREFIX = "xn--"
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
"""What separates them in a name that is not ASCII (RFC 3490, section 3.1)."""
_REG_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NODE = re.compile(r"\[(.*)\](?::[0-9]+)?|([^:]*)(?::[0-9]+)?|(.*)")
_NUMBER = re.compile(r"0x([0-9a-f]*)|0([0-9]+)|([0-9]+)")

_EMBEDDING = [
    (IPv6Network(network), shift)
    for network, shift in (
        ("::/96", 0),  # IPv4-compatible (RFC 4291, section 2.5.5.1)
        ("::ffff:0:0/96", 0),  # IPv4-mapped (RFC 4291, section 2.5.5.2)
        ("::ffff:0:0:0/96", 0),  # IPv4-translated (RFC 2765, section 2.1)
        ("64:ff9b::/96", 0),  # NAT64 (RFC 6052, section 2.1)
        ("64:ff9b:1::/48", 0),  # NAT64 of a network's own (RFC 8215)
        ("2002::/16", 80),  # 6to4 (RFC 3056, section 2)
        ("2001::/32", 64),  # Teredo: its server (RFC 4380, section 4)
    )
]
"""IPv6 networks whose addresses contain an IPv4 address, and how many bits stand after it."""
_TEREDO = IPv6Network("2001::/32")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}
"""The upper half of an ISATAP interface identifier (RFC 5214, section 6.1)."""
_WORD = 0xFFFF_FFFF


def normal(host: str) -> str:
    """Give a host in lower case and ASCII; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is neither a name nor an address.

    """
    if host.startswith("["):
        return f"[{IPv6Address(host[1:-1])}]"
    name = host.lower() if host.isascii() else _to_ascii(host)
    if len(name) > _LONGEST or not _REG_NAME.fullmatch(name):
        raise ValueError
    parts = name.removesuffix(".").split(".")
    return str(_ipv4(parts)) if _NUMBER.fullmatch(parts[-1]) else name


def address(node: str) -> IPv4Address | IPv6Address:
    """Read an address, alone or with a port (RFC 7239, section 6): `[2001:db8::1]:53`.

    Raises:
        ValueError: it is none.

    """
    match = _NODE.fullmatch(node)
    return ip_address(next(filter(None, match.groups()), "") if match else "")


def embedded(outer: IPv4Address | IPv6Address) -> set[IPv4Address]:
    """Return every IPv4 address that an IPv6 address may lead to, by any standard that embeds one.

    Not known here are prefixes that a network has chosen for its own NAT64 (RFC 6052).
    """
    if isinstance(outer, IPv4Address) or int(outer) <= 1:  # `::` and `::1` embed none
        return set()
    bits = int(outer)
    found = {bits >> shift & _WORD for network, shift in _EMBEDDING if outer in network}
    if outer in _TEREDO:
        found.add(~bits & _WORD)  # its client, obfuscated
    if outer in _LOCAL_NAT64:
        found.update(_around_octet(bits, prefix) for prefix in (48, 56, 64))
    if bits >> 32 & _WORD in _ISATAP:
        found.add(bits & _WORD)
    return {IPv4Address(number) for number in found}


def spellings(host: str) -> list[str]:
    """Return a host in normal form, then the IPv4 addresses that it embeds."""
    if not host.startswith("["):
        return [host]
    return [host, *map(str, embedded(IPv6Address(host[1:-1])))]


def _around_octet(bits: int, prefix: int) -> int:
    """Return the IPv4 address after a prefix, around the octet of zeros (RFC 6052, section 2.2)."""
    octets = bits.to_bytes(16, "big")
    following = octets[prefix // 8 : 8] + octets[9:]
    return int.from_bytes(following[:4], "big")


def _to_ascii(host: str) -> str:
    """Encode a name that is not ASCII, by the standard library's IDNA 2003 (RFC 3490)."""
    if len(host) > _LONGEST:
        raise ValueError
    # It takes a millisecond over 250 characters: what is too long afterwards is refused before.
    encoded = sum(not label.isascii() for label in _DOTS.split(host))
    if len(host) + encoded * len(_ACE_PREFIX) > _LONGEST:
        raise ValueError
    return host.encode("idna").decode("ascii").lower()


def _ipv4(parts: list[str]) -> IPv4Address:
    """Read one to four numbers, of which the last is for all bytes that are left."""
    *first, last = map(_number, parts)
    if len(first) > 3 or any(number > 255 for number in first):  # noqa: PLR2004
        raise ValueError
    left = 4 - len(first)
    if last >= 256**left:
        raise ValueError
    return IPv4Address(bytes([*first, *last.to_bytes(left, "big")]))


def _number(part: str) -> int:
    match = _NUMBER.fullmatch(part)
    if match is None:
        raise ValueError
    hexadecimal, octal, decimal = match.groups()
    if hexadecimal is not None:
        return int(hexadecimal or "0", 16)
    return int(octal, 8) if octal else int(decimal)
