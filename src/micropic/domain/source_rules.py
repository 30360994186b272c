"""Which sources may be fetched, by the operator's lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from micropic.domain import hosts
from micropic.domain.errors import SourceForbidden
from micropic.domain.headers import host_matches
from micropic.domain.model import DEFAULT_PORTS, SourceUrl

BAD_PORTS = frozenset({
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
})  # fmt: skip
"""Where other protocols than HTTP are spoken (Fetch standard, section 2.9, "port blocking")."""


@dataclass(frozen=True, slots=True)
class SourceRules:
    """Hosts by patterns such as `*.example.com`, ports by number."""

    allow_hosts: Sequence[str] = ()
    """The only ones; empty: any."""
    deny_hosts: Sequence[str] = ()
    """None of these, whatever is allowed; IPv4 addresses also inside IPv6 ones."""
    allow_ports: Collection[int] = frozenset()
    """The only ones; empty: any but `BAD_PORTS`."""

    def check(self, url: SourceUrl) -> None:
        """Let a source pass, or a hop on the way to it.

        Raises:
            SourceForbidden: its host or port is not allowed.

        """
        if self.allow_hosts and not host_matches(url.host, self.allow_hosts):
            msg = f"{url.host} is not among the hosts that source.allow_hosts names."
            raise SourceForbidden(msg)
        if any(host_matches(each, self.deny_hosts) for each in hosts.spellings(url.host)):
            msg = f"{url.host} is among the hosts that source.deny_hosts names."
            raise SourceForbidden(msg)
        port = url.port or DEFAULT_PORTS[url.scheme]
        if port not in self.allow_ports if self.allow_ports else port in BAD_PORTS:
            msg = f"The port {port} is not one that pictures are fetched from."
            raise SourceForbidden(msg)
