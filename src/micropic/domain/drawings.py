"""Tell SVG drawings, which have no pixels of their own, from all other images."""

from __future__ import annotations

import re

_HEAD = 4096
"""Bytes that are read."""
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!--|<!DOCTYPE\s+svg|<svg)[\s\S]*", re.IGNORECASE
)


def is_drawing(body: bytes | bytearray | memoryview) -> bool:
    """Return True if the body begins as an SVG does."""
    head = bytes(body[:_HEAD])
    return bool(_SVG.match(head)) and b"<svg" in head
