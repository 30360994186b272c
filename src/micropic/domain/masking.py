"""Addresses as they may stand in a log: without what only their owner is to know.

```
/fill/9/9/u:secret@h/a?token=secret&x=1     /fill/9/9/***@h/a?token=***&x=***
/fill/9/9/http%3A%2F%2Fh%2Fa%3Fx%3D1        /fill/9/9/http%3A%2F%2Fh%2Fa%3Fx%3D***
/hW8...43 characters.../fill/9/9/h/a        /***/fill/9/9/h/a
```

What may be masked is masked: a `%3F` in a path of an origin's counts as the beginning of a query.

Clients choose up to 64 KiB of a path. Only its first `LONGEST` characters are looked at, and each
step takes time linear in these. A path segment is dropped as a whole if its end is not among them:
it could be a password before its `@`.
"""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "***"
LONGEST = 2048
"""Characters of an address that are logged."""
CUT = "..."
"""The end of an address that was longer."""

_SIGNATURE = re.compile(r"/[A-Za-z0-9_-]{43}/")
_SEGMENTS = re.compile(r"(/|%2F)", re.IGNORECASE)
_AT = re.compile(r"@|%40")
_COLON = re.compile(r":|%3A", re.IGNORECASE)
_AFTER = re.compile(r"\A\Z|(?::|%3A)\Z", re.IGNORECASE)
"""What a segment before a host is: empty or, in `https:/h` for `https://h`, a scheme."""
_QUERY = re.compile(r"\?|%3F", re.IGNORECASE)
_PAIRS = re.compile(r"(&|;|%26|%3B)", re.IGNORECASE)
_EQUALS = re.compile(r"=|%3D", re.IGNORECASE)
_LONGEST_CHARACTER = 4
"""Bytes in UTF-8."""


def text(target: bytes) -> str:
    """Decode as much of a request's target as `masked` looks at."""
    bounded = target[: _LONGEST_CHARACTER * (LONGEST + 1)]
    try:
        return bounded.decode()
    except UnicodeDecodeError:
        # Escapes are slow to write, and four times as long: only for what is kept.
        kept = bounded.decode("utf-8", "surrogateescape")[: LONGEST + 1]
        return kept.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def masked(address: str, *, queries: bool = True) -> str:
    """Mask signature, user and password of an address or path, and with `queries` its values.

    The result ends in `CUT` if the address is longer than `LONGEST`.
    """
    if address[44:45] == "/" and _SIGNATURE.match(address):  # the first alone is much cheaper
        address = f"/{MASK}/{address[45:]}"
    if len(address) > LONGEST:
        return _masked(address[:LONGEST], queries, True) + CUT  # noqa: FBT003 # see there
    if "?" in address or "@" in address or "%" in address:
        return _masked(address, queries, False)  # noqa: FBT003 # see there
    return address


@lru_cache(maxsize=512)
def _masked(address: str, queries: bool, is_cut: bool) -> str:  # noqa: FBT001 # a cached call with names is dearer
    begin = _QUERY.search(address)
    end = begin.end() if begin else len(address)
    segments = _SEGMENTS.split(address[:end])
    if is_cut and not begin:
        segments.pop()
    if "@" in address or "%40" in address:
        ahead = ["x", "/", *segments]  # what stands two before each: between them are slashes
        segments = [_without_user(segment, _AFTER.search(before) is not None)
                    for segment, before in zip(segments, ahead, strict=False)]  # fmt: skip
    query = address[end:]
    return "".join(segments) + (_without_values(query) if queries and query else query)


def _without_user(segment: str, is_authority: bool) -> str:  # noqa: FBT001 # see above
    """Mask user and password; an `@` alone is a part of many file names, but of no host."""
    if "@" not in segment and "%40" not in segment:
        return segment
    *_, last = _AT.finditer(segment)
    if not is_authority and not _COLON.search(segment, 0, last.start()):
        return segment
    return MASK + segment[last.start() :]


def _without_values(query: str) -> str:
    """Mask all but the names; those of empty pairs have nothing to mask."""
    pairs = _PAIRS.split(query)
    pairs[::2] = [pair and _without_value(pair) for pair in pairs[::2]]  # between: their separators
    return "".join(pairs)


def _without_value(pair: str) -> str:
    name = _EQUALS.search(pair)
    return pair[: name.end() if name else 0] + MASK
