"""How a preview lies in a file: one entry, whole or not at all.

```
offset  bytes  what
0       4      "MPIC"
4       2      version of this format, 4
6       2      reserved, 0
8       4      length of the header
12      8      length of the body
20      32     SHA-256 of the header and, in hexadecimal, the SHA-256 of the body
52             header: JSON with key, media_type, stored_at, lifetime, etag, variant, source
               body
```

Numbers are big-endian. A file of another version is dropped like a damaged one: it is a cache.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import fields

import orjson

from micropic.domain import urls
from micropic.domain.model import FROM_CACHE, Preview, SourceFacts

VERSION = 4

SOURCE_PART = 16
"""Bytes of a name that tell of its source."""

_MAGIC = b"MPIC"
_PREFIX = struct.Struct(">4sHHIQ32s")
_FACTS = tuple(field.name for field in fields(SourceFacts))


def name(key: str) -> bytes:
    """Give what an entry is found by; for all that was made of one source it begins the same."""
    return source_part(urls.source_of(key)) + _digest(key)


def source_part(source: str) -> bytes:
    """Give what the names of all that was made of a source begin with."""
    return _digest(source)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:SOURCE_PART]


class CorruptEntryError(Exception):
    """The bytes are not a whole entry of this version."""


def pack(key: str, preview: Preview) -> tuple[bytes, bytes]:
    """Give an entry in two pieces: all that comes before the body, and the body."""
    facts = {name: value for name in _FACTS if (value := getattr(preview.source, name)) is not None}
    header = orjson.dumps(
        {
            "key": key,
            "media_type": preview.media_type,
            "stored_at": preview.stored_at,
            "lifetime": preview.lifetime,
            "etag": preview.etag,
            "variant": preview.variant,
            "source": facts,
        }
    )
    digest = _checksum(header, _body_sha256(key, preview))
    prefix = _PREFIX.pack(_MAGIC, VERSION, 0, len(header), len(preview.body), digest)
    return prefix + header, preview.body


def _body_sha256(key: str, preview: Preview) -> str:
    """Give the body's SHA-256; that of a source was made while it came in."""
    known = preview.source
    if urls.is_source_key(key) and known.sha256 and known.length == len(preview.body):
        return known.sha256
    return hashlib.sha256(preview.body).hexdigest()


def _checksum(header: bytes | memoryview, body_sha256: str) -> bytes:
    return hashlib.sha256(bytes(header) + body_sha256.encode()).digest()


HEAD = 16 * 1024
"""Bytes that hold all but the body: a key is bounded by the length of an address."""


def key_of(head: bytes) -> str:
    """Read the key alone of what an entry begins with; the rest is not checked.

    Raises:
        CorruptEntryError: there is none to read.

    """
    try:
        _, _, _, header_length, _, _ = _PREFIX.unpack_from(head)
        return str(orjson.loads(head[_PREFIX.size : _PREFIX.size + header_length])["key"])
    except (struct.error, ValueError, TypeError, KeyError) as error:
        raise CorruptEntryError from error


def unpack(data: bytes) -> tuple[str, Preview]:
    """Read an entry: its key and its preview.

    Raises:
        CorruptEntryError: something is missing, left over or changed.

    """
    if len(data) < _PREFIX.size:
        raise CorruptEntryError
    magic, version, _, header_length, body_length, digest = _PREFIX.unpack_from(data)
    start = _PREFIX.size + header_length
    if (magic, version) != (_MAGIC, VERSION) or len(data) != start + body_length:
        raise CorruptEntryError
    view = memoryview(data)
    body_sha256 = hashlib.sha256(view[start:]).hexdigest()
    if _checksum(view[_PREFIX.size : start], body_sha256) != digest:
        raise CorruptEntryError
    body = data[start:]
    try:
        meta = orjson.loads(data[_PREFIX.size : start])
        source = SourceFacts(**meta["source"])
        preview = Preview(
            body,
            meta["media_type"],
            meta["stored_at"],
            meta["lifetime"],
            source,
            FROM_CACHE,
            meta["etag"],
            meta["variant"],
        )
        return meta["key"], preview
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptEntryError from error
