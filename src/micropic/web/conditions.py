"""What a request's conditions and its range make of an answer (RFC 9110, sections 13 and 14).

| the request has | and | the answer is |
|---|---|---|
| `If-None-Match` | it lists the ETag, or is `*` (13.1.2) | 304 |
| `If-None-Match` | it does not | whole or in part, whatever `If-Modified-Since` says (13.2.2) |
| `If-Modified-Since` | the picture is no newer (13.1.3) | 304 |
| `Range`, of a GET | `If-Range` is not the ETag or the date as it is (13.1.5) | whole |
| `Range`, of a GET | one range that begins inside (14.2) | 206 |
| `Range`, of a GET | one range that begins behind the end (15.5.17) | 416 |
| `Range`, of a GET | several ranges, other units, or what is not understood (14.2) | whole |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

Conditions = Mapping[bytes, bytes]
"""The fields that set conditions; empty for nearly all requests."""

_LONGEST = 4096
"""Bytes of a field that are read, some hundred ETags; with a longer one the answer is whole."""
_FIELDS = frozenset({b"if-none-match", b"if-modified-since", b"if-range", b"range"})
_RANGE = re.compile(rb"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)
_ETAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class ByteRange(NamedTuple):
    """Part of a body, from its first byte up to its last one."""

    first: int
    last: int


class NotSatisfiableError(Exception):
    """The range begins behind the end."""


def conditions(fields: Iterable[tuple[bytes, bytes]]) -> Conditions:
    """Pick the fields that set conditions."""
    return {name: value for name, value in fields if name in _FIELDS and len(value) <= _LONGEST}


def of_head(asked: Conditions) -> Conditions:
    """Leave out the range, which has a meaning for GET alone (RFC 9110, 14.2)."""
    return {name: value for name, value in asked.items() if name != b"range"}


def not_modified(asked: Conditions, etag: str, last_modified: str | None) -> bool:
    """Tell whether the client has this answer already."""
    if (listed := asked.get(b"if-none-match")) is not None:
        # The weak comparison (8.8.3.2): what marks a tag as weak is not looked at.
        return listed.strip() == b"*" or etag.encode() in _ETAG.findall(listed)
    since, modified = _timestamp(asked.get(b"if-modified-since")), _timestamp(last_modified)
    return since is not None and modified is not None and modified <= since


def byte_range(
    asked: Conditions, etag: str, last_modified: str | None, length: int
) -> ByteRange | None:
    """Give the range to answer with; None: answer with all of it.

    Raises:
        NotSatisfiableError: a range was asked that the body does not reach.

    """
    match = _RANGE.fullmatch(asked.get(b"range", b""))
    if match is None or not _still_valid(asked.get(b"if-range"), etag, last_modified):
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or length == 0:
            raise NotSatisfiableError
        return ByteRange(max(0, length - int(last)), length - 1)
    if last and int(last) < int(first):
        return None  # not a valid range (14.1.1)
    if int(first) >= length:
        raise NotSatisfiableError
    return ByteRange(int(first), min(int(last), length - 1) if last else length - 1)


def http_date(value: str | None) -> str | None:
    """Give a date as it came if it is one, and can stand in a header field."""
    if value is None or not (value.isascii() and value.isprintable()):
        return None
    return value if _timestamp(value) is not None else None


def _still_valid(validator: bytes | None, etag: str, last_modified: str | None) -> bool:
    if validator is None:
        return True
    text = validator.strip().decode("latin-1")
    return text == (etag if text.startswith(('"', "W/")) else last_modified)


def _timestamp(value: bytes | str | None) -> float | None:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None
