"""Undo a Content-Encoding, within bounds."""

from __future__ import annotations

import zlib
from typing import Protocol

from micropic.domain.errors import OriginFailed


class Decoder(Protocol):
    """Takes bytes in pieces of any size."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """Give what `data` decodes to, cut off one byte past `limit`."""
        ...

    def finish(self) -> None:
        """Check that what was taken was whole."""
        ...


class Identity:
    """Bytes as they are."""

    def decode(self, data: bytes, limit: int) -> bytes:  # noqa: ARG002 # decodes to no more than came
        """Give `data`."""
        return data

    def finish(self) -> None:
        """Nothing can lack."""


class Deflated:
    """`gzip` and `deflate` (RFC 9110, section 8.4.1)."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # gzip or zlib, by its header

    def decode(self, data: bytes, limit: int) -> bytes:
        """Give what `data` decodes to, cut off one byte past `limit`.

        Raises:
            OriginFailed: the bytes are not what the origin said they were.

        """
        if self._inflate.eof:
            return b""
        try:
            return self._inflate.decompress(data, limit + 1)
        except zlib.error as error:
            msg = f"The origin's answer cannot be decompressed: {error}."
            raise OriginFailed(msg) from error

    def finish(self) -> None:
        """Check that the end of the stream was reached."""
        if not self._inflate.eof:
            msg = "The origin's compressed answer ends too early."
            raise OriginFailed(msg)


def decoder_for(content_encoding: str) -> Decoder:
    """Give the decoder for a Content-Encoding field.

    Raises:
        OriginFailed: the coding is not one that is known here.

    """
    coding = content_encoding.strip().lower()
    if coding in {"", "identity"}:
        return Identity()
    if coding in {"gzip", "x-gzip", "deflate"}:
        return Deflated()
    msg = f"The origin sent the content coding {coding[:40]!r}, which it was not asked for."
    raise OriginFailed(msg)
