"""Addresses as they may stand in a log: without what only their owner is to know.

```
/fill/9/9/u:secret@h/a?token=secret&x=1     /fill/9/9/***@h/a?token=***&x=***
/fill/9/9/http%3A%2F%2Fh%2Fa%3Fx%3D1        /fill/9/9/http%3A%2F%2Fh%2Fa%3Fx%3D***
/hW8...43 characters.../fill/9/9/h/a        /***/fill/9/9/h/a
```

What may be masked is masked: a `%3F` in a path of an origin's counts as the beginning of a query.
"""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "***"

_SIGNATURE = re.compile(r"/[A-Za-z0-9_-]{43}/")
_SEGMENTS = re.compile(r"(/|%2F)", re.IGNORECASE)
_AT = re.compile(r"@|%40")
_COLON = re.compile(r":|%3A", re.IGNORECASE)
_QUERY = re.compile(r"\?|%3F", re.IGNORECASE)
_PAIRS = re.compile(r"(&|;|%26|%3B)", re.IGNORECASE)
_EQUALS = re.compile(r"=|%3D", re.IGNORECASE)


def masked(address: str, *, queries: bool = True) -> str:
    """Mask signature, user and password of an address or path, and with `queries` its values."""
    if address[44:45] == "/" and _SIGNATURE.match(address):  # the first alone is much cheaper
        address = f"/{MASK}/{address.split('/', 2)[2]}"
    if "?" in address or "@" in address or "%" in address:
        return _masked(address, queries)
    return address


@lru_cache(maxsize=512)
def _masked(address: str, queries: bool) -> str:  # noqa: FBT001 # a cached call with a name is dearer
    begin = _QUERY.search(address)
    end = begin.end() if begin else len(address)
    path = "".join(map(_without_user, _SEGMENTS.split(address[:end])))
    pairs = _PAIRS.split(address[end:])
    return path + "".join(map(_without_value, pairs) if queries else pairs)


def _without_user(segment: str) -> str:
    """Mask user and password; an `@` alone is a part of many file names."""
    *_, last = [None, *_AT.finditer(segment)]
    if last is None or not _COLON.search(segment, 0, last.start()):
        return segment
    return MASK + segment[last.start() :]


def _without_value(pair: str) -> str:
    """Mask what is no name, and no mark between two pairs."""
    if not pair or _PAIRS.fullmatch(pair):
        return pair
    name = _EQUALS.search(pair)
    return pair[: name.end() if name else 0] + MASK
