"""Signed addresses: `/{signature}/fill/300/200/www.example.com/owl.jpg`.

The signature is the HMAC-SHA256 (RFC 2104) of all that follows it on the request line, from the
slash on, with the query and byte for byte as it is sent; written in base64url without padding
(RFC 4648, section 5): 43 characters. The key is the UTF-8 text of the setting.

So nothing is decoded before it is signed or checked: `%2F` is not `/`, and a client that encodes
more than was signed is refused (`as_sent`). The question mark of an empty query is not signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

_SIGNED = re.compile(rb"/([A-Za-z0-9_-]{43})(/.*)", re.DOTALL)
# What some client encodes and another does not: all but RFC 3986 allows, and the quote, which
# browsers encode in a query alone. Brackets stand around an address of IPv6: nobody encodes them.
_UNCERTAIN = re.compile(rb"[^%A-Za-z0-9\-._~!$&()*+,;=:@/?\[\]]")


def signature(target: bytes, key: str) -> str:
    """Give the signature of a path with its query."""
    digest = hmac.digest(key.encode(), target, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def sign(target: str, key: str) -> str:
    """Give a path with its query signed, ready to be asked for."""
    return f"/{signature(target.encode(), key)}{target}"


def as_sent(target: str) -> str:
    """Write a path with its query so that every client sends it as it is written."""
    path, _, query = target.partition("?")
    whole = f"{path}?{query}" if query else path
    encoded = _UNCERTAIN.sub(
        lambda match: b"%%%02X" % match[0][0], whole.encode("utf-8", "surrogateescape")
    )
    return encoded.decode("ascii")


def split(path: bytes) -> tuple[bytes, bytes]:
    """Take a path apart: its signature, empty if it has none, and what was signed."""
    match = _SIGNED.fullmatch(path)
    return (match[1], match[2]) if match else (b"", path)


def is_signed(target: bytes, given: bytes, keys: Sequence[str]) -> bool:
    """Tell whether a signature was made with one of the keys; all take the same time."""
    matches = [hmac.compare_digest(signature(target, key).encode(), given) for key in keys]
    return any(matches)
