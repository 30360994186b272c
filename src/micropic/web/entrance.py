"""What a request comes with before its path means anything: a prefix, a signature, a sender."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from micropic.domain import headers, hosts, signing
from micropic.domain.errors import BadSignature

_Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

_MOST_HOPS = 32
"""Addresses of a field that are read; a client may write thousands before its own."""
_LONGEST_HOP = 256
"""Characters of one of them, with all that Forwarded says of it."""
_FOR = re.compile(r'(?:^|;)\s*for="?([^";]*)', re.IGNORECASE)
_WITHOUT_PREFIX = {b"/healthz", b"/readyz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Takes off what is not of the path, so that neither the log nor what follows sees it."""

    prefix: str = ""
    """What a server in front has left before every path, such as `/img`."""
    keys: tuple[str, ...] = ()
    """One of them has to have signed an address; none: addresses are not signed."""
    trusted: Networks = ()
    """Proxies whose word on whom they speak for is believed."""
    client_header: str = "x-forwarded-for"

    def enter(self, scope: Any) -> bool:
        """Bring a request (ASGI) to what it would be without all that; False: not for us."""
        path: bytes = scope["raw_path"]
        is_for_us = True
        if self.prefix:
            prefix = self.prefix.encode()
            if path.startswith(prefix + b"/"):
                path = path[len(prefix) :]
                scope["path"] = scope["path"].removeprefix(self.prefix)
            else:
                is_for_us = path in _WITHOUT_PREFIX
        scope["signature"], scope["raw_path"] = signing.split(path) if self.keys else (b"", path)
        return is_for_us

    def check_signature(self, scope: Any) -> None:
        """Let a request pass that has entered.

        Raises:
            BadSignature: it is to be signed, and is not.

        """
        if self.keys:
            query = scope["query_string"]
            target = scope["raw_path"] + (b"?" + query if query else b"")
            _check(target, scope["signature"], self.keys)

    def client(self, scope: Any) -> str:
        """Give the client's address; behind trusted proxies the last that they do not vouch for."""
        peer: str = (scope["client"] or ("", 0))[0]
        if not self.trusted or not is_among(peer, self.trusted):
            return peer
        for address in self._told(scope["headers"]):
            if address is None:  # unknown or hidden: all before it may be made up
                break
            peer = str(address)
            if not is_among(peer, self.trusted):
                break
        return peer

    def _told(self, fields: Iterable[tuple[bytes, bytes]]) -> Iterator[_Address | None]:
        """Yield the addresses of the client header, the last one first; each is read when due."""
        value = headers.field(fields, self.client_header.encode()).decode("latin-1")
        elements = value.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:] if value else []
        for element in reversed(elements):
            node = element if len(element) <= _LONGEST_HOP else ""
            if self.client_header == "forwarded":
                match = _FOR.search(node)
                node = match[1] if match else ""
            yield _address(node.strip())


@lru_cache(maxsize=1024)
def _check(target: bytes, signature: bytes, keys: tuple[str, ...]) -> None:
    """Let pass what one of the keys has signed; that alone is remembered.

    Raises:
        BadSignature: none has.

    """
    if not signing.is_signed(target, signature, keys):
        msg = "The address has to be signed, and this signature is missing or wrong."
        raise BadSignature(msg)


def is_among(address: str, networks: Networks) -> bool:
    """Tell whether an address, as text, is in one of the networks."""
    parsed = _address(address)
    return parsed is not None and any(parsed in network for network in networks)


def _address(node: str) -> _Address | None:
    try:
        parsed = hosts.address(node)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
