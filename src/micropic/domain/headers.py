"""Which of the client's headers reach the origin, and which make a request private.

All end-to-end fields go (RFC 9110, section 7.6.1), but for those that are ours to say, those
that would let a stranger speak for the proxy or unlock a cloud's metadata service, and
credentials, which go only where `source.credential_hosts` lets them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from micropic.domain.errors import LoopDetected
from micropic.domain.model import Headers

CDN_ID = "micropic"
"""How this service calls itself in CDN-Loop (RFC 8586)."""

CREDENTIALS = frozenset({"authorization", "cookie"})

_HOP_BY_HOP = {
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
}  # fmt: skip
_OURS = {
    "host", "range", "accept", "accept-encoding", "expect", "cdn-loop",
    "content-length", "content-type", "content-encoding",
}  # fmt: skip
_ABOUT_THE_WAY = {
    "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-host",
}  # fmt: skip
_METADATA = {"metadata", "metadata-flavor", "x-google-metadata-request"}
_NEVER = frozenset(_HOP_BY_HOP | _OURS | _ABOUT_THE_WAY | _METADATA)
_NEVER_PREFIXES = (
    "proxy-", "x-forwarded-", "if-", "x-aws-ec2-metadata-", "x-aliyun-ecs-metadata-",
    # These can make an origin answer for another address than the one that it is asked for.
    "x-original-", "x-rewrite-", "x-http-method",
)  # fmt: skip

_LONGEST_CONNECTION = 1024
"""Characters of Connection that are read: clients name two or three fields in it."""
# The name comes first, so that it is searched for at the speed of `in`.
_THROUGH_US = re.compile(rf"{CDN_ID}(?<![^, \t]{CDN_ID})[ \t]*(?:[;,]|$)")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Neither control characters nor marks that break lines or turn the direction of writing.
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*")


def forwardable(
    fields: Iterable[tuple[bytes, bytes]], chosen: Collection[str] | None = None
) -> Headers:
    """Give the fields that may reach an origin, credentials among them, plus our CDN-Loop.

    Of those only the `chosen` go, by their names in lower case; None: all of them. A field that is
    no legal HTTP, or whose value is not UTF-8, is left out.

    Raises:
        LoopDetected: the request has been through this service already (RFC 8586, section 2).

    """
    decoded = [pair for field in fields if (pair := _decode(*field))]
    connection = _tokens(", ".join([value for name, value in decoded if name == "connection"]))
    loop = [value for name, value in decoded if name == "cdn-loop"]
    if any(_THROUGH_US.search(value.lower()) for value in loop):
        msg = "This request has been through micropic already: the source leads back to it."
        raise LoopDetected(msg)
    kept = [
        (name, value)
        for name, value in decoded
        if name not in connection
        and not _stays_here(name.replace("_", "-"))
        and (chosen is None or name in chosen)
    ]
    return (*kept, ("cdn-loop", ", ".join([*loop, CDN_ID])))


def field(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """Give the value of a field, several of them joined by commas (RFC 9110, section 5.3)."""
    return b", ".join(value for key, value in fields if key == name)


def _stays_here(name: str) -> bool:
    """Tell whether a field never goes to an origin; to many of them `_` in it is a `-`."""
    return name in _NEVER or name.startswith(_NEVER_PREFIXES)


def without_credentials(headers: Headers) -> Headers:
    """Give the headers that may go to any host."""
    return tuple(pair for pair in headers if pair[0] not in CREDENTIALS)


def carries_credentials(headers: Headers) -> bool:
    """Tell whether an answer to these headers may be meant for one client alone."""
    return any(name in CREDENTIALS for name, _ in headers)


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Tell whether `host` (lower case) is one of the patterns: `a.example`, `*.example`, `*`."""
    name = host.rstrip(".")
    # Brackets stand around an IPv6 address here, not around a set of characters.
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def _decode(name: bytes, value: bytes) -> tuple[str, str] | None:
    if not _TOKEN.fullmatch(name):
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return (name.decode().lower(), text) if _VALUE.fullmatch(text) else None


def _tokens(connection: str) -> set[str]:
    """Return the options of a Connection field in lower case (RFC 9110, section 7.6.1)."""
    return {part.strip().lower() for part in connection[:_LONGEST_CONNECTION].split(",")}
