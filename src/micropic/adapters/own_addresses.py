"""Which addresses are this machine's own, by the kernel's routing tables.

The kernel is asked again for each address that is dialled: interfaces come and go, and addresses
are local that no interface has (`ip route add local ...`). It answers in some 50 microseconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

_TIMEOUT = 0.1
"""Seconds; the kernel answers within the call that asks it."""

# linux/netlink.h and linux/rtnetlink.h; all in the byte order of the machine
_HEADER = struct.Struct("=LHHLL")
"""nlmsghdr: length, type, flags, sequence number, port."""
_ROUTE = struct.Struct("=BBBBBBBBL")
"""rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags."""
_ATTRIBUTE = struct.Struct("=HH")
"""rtattr: length, type."""
_NLM_F_REQUEST = 1
_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_RTA_DST = 1
_RTN_LOCAL = 2


def is_own(address: IPv4Address | IPv6Address) -> bool:
    """Return True if what is sent to `address` stays on this machine."""
    try:
        return _is_routed_here(address)
    except (OSError, AttributeError, struct.error):  # no netlink here, or it may not be used
        return _can_be_bound(address)


def _is_routed_here(address: IPv4Address | IPv6Address) -> bool:
    """Ask for the route to an address (rtnetlink(7)).

    Raises:
        AttributeError: this system has no netlink.
        OSError: it is not available.

    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    destination = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address.packed), _RTA_DST) + address.packed
    route = _ROUTE.pack(family, 8 * len(address.packed), 0, 0, 0, 0, 0, 0, 0) + destination
    header = _HEADER.pack(_HEADER.size + len(route), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(_TIMEOUT)
        netlink.sendto(header + route, (0, 0))
        reply = netlink.recv(4096)
    _, kind, *_ = _HEADER.unpack_from(reply)
    if kind != _RTM_NEWROUTE:
        return _is_refused(reply)
    *_, found, _ = _ROUTE.unpack_from(reply, _HEADER.size)
    return bool(found == _RTN_LOCAL)


def _is_refused(reply: bytes) -> bool:
    """Return False if there is no route to the address.

    Raises:
        OSError: the question was not answered.

    """
    (code,) = struct.unpack_from("=l", reply, _HEADER.size)
    if -code in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL}:
        return False
    raise OSError(-code, os.strerror(-code))


def _can_be_bound(address: IPv4Address | IPv6Address) -> bool:
    """Try to use an address as one's own; with ip_nonlocal_bind all of them count as own."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False
