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

The header of a body over 1 MiB has `sha256`, that of the body, and `blocks`, the first 16 bytes of
the SHA-256 of each 256 KiB of it. So the header is checked without the body, and part of the body
without the rest. A program that does not know these two reads the entry as any other.

Numbers are big-endian. A file of another version is dropped like a damaged one: it is a cache.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import fields
from typing import Any, NamedTuple

import orjson

from micropic.domain import urls
from micropic.domain.model import FROM_CACHE, PIECE, Preview, SourceFacts

VERSION = 4

SOURCE_PART = 16
"""Bytes of a name that tell of its source."""

LARGE = 1024**2
"""Bytes of a body; more are checked block by block."""
_BLOCK_DIGEST = 16

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
    body_sha256 = _body_sha256(key, preview)
    blocks = _blocks(preview.body) if len(preview.body) > LARGE else b""
    header = _header(key, preview, body_sha256, blocks)
    digest = _checksum(header, body_sha256)
    prefix = _PREFIX.pack(_MAGIC, VERSION, 0, len(header), len(preview.body), digest)
    return prefix + header, preview.body


def packed_size(key: str, preview: Preview) -> int:
    """Return the length of an entry in bytes, without reading the body."""
    length = len(preview.body)
    blocks = bytes(-(-length // PIECE) * _BLOCK_DIGEST) if length > LARGE else b""
    return _PREFIX.size + len(_header(key, preview, "0" * 64, blocks)) + length


def _header(key: str, preview: Preview, body_sha256: str, blocks: bytes) -> bytes:
    facts = {name: value for name in _FACTS if (value := getattr(preview.source, name)) is not None}
    meta: dict[str, Any] = {
        "key": key,
        "media_type": preview.media_type,
        "stored_at": preview.stored_at,
        "lifetime": preview.lifetime,
        "etag": preview.etag,
        "variant": preview.variant,
        "source": facts,
    }
    if blocks:
        meta |= {"sha256": body_sha256, "blocks": blocks.hex()}
    return orjson.dumps(meta)


def _body_sha256(key: str, preview: Preview) -> str:
    """Give the body's SHA-256; that of a source was made while it came in."""
    known = preview.source
    if urls.is_source_key(key) and known.sha256 and known.length == len(preview.body):
        return known.sha256
    return hashlib.sha256(preview.body).hexdigest()


def _checksum(header: bytes | memoryview, body_sha256: str) -> bytes:
    return hashlib.sha256(bytes(header) + body_sha256.encode()).digest()


def _blocks(body: bytes) -> bytes:
    view = memoryview(body)
    return b"".join(_block_digest(view[at : at + PIECE]) for at in range(0, len(body), PIECE))


def _block_digest(block: bytes | memoryview) -> bytes:
    return hashlib.sha256(block).digest()[:_BLOCK_DIGEST]


HEAD = 16 * 1024
"""Bytes that hold nearly always all but the body; `Head.size` tells."""


class Head(NamedTuple):
    """What the first bytes of an entry say of the rest."""

    size: int
    """Bytes before the body."""
    length: int
    """Bytes of the body."""


def head_of(data: bytes) -> Head:
    """Read the sizes of an entry from its first bytes.

    Raises:
        CorruptEntryError: they are not the beginning of an entry of this version.

    """
    if len(data) < _PREFIX.size:
        raise CorruptEntryError
    magic, version, _, header_length, body_length, _ = _PREFIX.unpack_from(data)
    if (magic, version) != (_MAGIC, VERSION):
        raise CorruptEntryError
    return Head(_PREFIX.size + header_length, body_length)


class Blocks:
    """The checksums of a large body's blocks."""

    def __init__(self, digests: bytes, length: int) -> None:
        self._digests = digests
        self.length = length

    def check(self, first: int, data: memoryview) -> None:
        """Check whole blocks, which begin at the offset `first` of the body.

        Raises:
            CorruptEntryError: one of them is not as it was stored.

        """
        for at in range(0, len(data), PIECE):
            number = (first + at) // PIECE
            known = self._digests[number * _BLOCK_DIGEST :][:_BLOCK_DIGEST]
            if _block_digest(data[at : at + PIECE]) != known:
                raise CorruptEntryError


def unpack_head(data: bytes) -> tuple[str, Preview, Blocks]:
    """Read all but the body of an entry with a large body: key, preview, and checksums.

    Raises:
        CorruptEntryError: something is missing or changed, or the entry has no such checksums.

    """
    size, length = head_of(data)
    if len(data) != size:
        raise CorruptEntryError
    _, _, _, _, _, digest = _PREFIX.unpack_from(data)
    header = data[_PREFIX.size : size]
    try:
        meta = orjson.loads(header)
        digests = bytes.fromhex(meta["blocks"])
        if _checksum(header, meta["sha256"]) != digest:
            raise CorruptEntryError
        if len(digests) != -(-length // PIECE) * _BLOCK_DIGEST:
            raise CorruptEntryError
        return meta["key"], _preview(meta, b""), Blocks(digests, length)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptEntryError from error


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
        return meta["key"], _preview(meta, body)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptEntryError from error


def _preview(meta: dict[str, Any], body: bytes) -> Preview:
    return Preview(
        body,
        meta["media_type"],
        meta["stored_at"],
        meta["lifetime"],
        SourceFacts(**meta["source"]),
        FROM_CACHE,
        meta["etag"],
        meta["variant"],
    )
