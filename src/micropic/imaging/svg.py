"""What an SVG asks for beyond its size: elements drawn over and over, and pictures inside it.

librsvg reads no file and no network for a document that has no address of its own, and bounds
how deep elements lie. It draws for many seconds, though, what a few kilobytes refer to a million
times, and decodes an embedded picture of any size. Both are counted here before.

What a style sheet refers to is not seen, nor is what is drawn slowly for another reason, such
as thousands of filters: these end by their time (`drawing_time.py`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

_REFERENCE = re.compile(r"url\(\s*[\"']?#([^\"')\s]+)|\A\s*#(\S+)")
"""`fill="url(#a)"` and `href="#a"`."""
_LINKS = ("href", "xlink:href")
_DATA_URL = re.compile(r"\s*data:([^,]*),", re.IGNORECASE)
_MOST = 10**9
_DOCUMENT = ""
"""The name, which no element has, of what lies in no element with an id."""


@dataclass(slots=True)
class Survey:
    """What a document asks for."""

    elements: int = 0
    """That stand in it."""
    drawn: int = 0
    """The same with what refers to others counted as often as it is drawn."""
    pictures: list[bytes] = field(default_factory=list)
    """That are embedded, encoded."""


@dataclass(slots=True)
class _Group:
    """An element with an id, and what lies in it up to the next one with an id."""

    elements: int = 0
    names: list[str] = field(default_factory=list)
    """Of groups that lie in it or that it refers to."""


def survey(data: bytes | memoryview) -> Survey:
    """Read a document, or what comes before its first fault: to judge that is the decoder's."""
    found = Survey()
    groups: defaultdict[str, _Group] = defaultdict(_Group)
    within = [_DOCUMENT]

    def begin(_: str, attributes: dict[str, str]) -> None:
        found.elements += 1
        name = attributes.get("id", within[-1])
        if name != within[-1]:
            groups[within[-1]].names.append(name)
        within.append(name)
        group = groups[name]
        group.elements += 1
        for value in attributes.values():
            if "#" in value:
                group.names.extend(url or link for url, link in _REFERENCE.findall(value))
        for link in _LINKS:
            if picture := _embedded(attributes.get(link, "")):
                found.pictures.append(picture)

    def end(_: str) -> None:
        within.pop()

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    # The latter two: of an encoding that is not known.
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):
        parser.Parse(bytes(data), True)  # noqa: FBT003 # it is the last piece
    found.drawn = _drawn(groups)
    return found


def _embedded(link: str) -> bytes:
    """Give the bytes of a data URL (RFC 2397); none for any other."""
    match = _DATA_URL.match(link)
    if not match:
        return b""
    payload = unquote_to_bytes(link[match.end() :])
    if not match[1].lower().endswith(";base64"):
        return payload
    try:
        return base64.b64decode(payload)
    except binascii.Error:
        return b""


def _drawn(groups: dict[str, _Group]) -> int:
    """Count the document's elements with all that they refer to; a circle is cut open."""
    counts: dict[str, int] = {}
    begun: set[str] = set()
    open_: list[tuple[str, bool]] = [(_DOCUMENT, False)]
    while open_:
        name, is_known = open_.pop()
        group = groups.get(name)
        if group is None or (name in begun and not is_known):
            continue
        if is_known:
            total = group.elements + sum(counts.get(inner, 0) for inner in group.names)
            counts[name] = min(total, _MOST)
        else:
            begun.add(name)
            open_.append((name, True))
            open_.extend((inner, False) for inner in group.names)
    return counts.get(_DOCUMENT, 0)
