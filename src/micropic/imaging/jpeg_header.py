"""What a JPEG file says of itself (ITU-T T.81, annex B), read from its markers alone."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from micropic.domain.errors import BrokenImage, NotAnImage
from micropic.domain.model import Size

MAX_SCANS = 100
"""More than any encoder writes (libjpeg's script has 10 scans, mozjpeg's up to 14).

Each scan of a few bytes makes libjpeg go over the whole picture once more: 200 kB of them cost
1.9 s.
"""

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_LOSSLESS = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})
_ARITHMETIC = frozenset({0xC9, 0xCA})
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_APPLICATION = frozenset(range(0xE0, 0xF0))
_JFIF_1_01 = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PART = 14
"""Where a part of a profile begins in its segment, after the part's number and their count."""
_TRANSFORM = 11
"""Where the colour transform stands in Adobe's segment (T.872, 6.5.3)."""
_ALONE = frozenset({0x01, _SOI, *range(0xD0, 0xD8)})
"""Markers with no length after them (B.1.1.3)."""
_NEXT = re.compile(rb"\xff[\x01-\xfe]")
"""Any marker; what stands before it is passed over, as libjpeg does."""
_AFTER_DATA = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that ends entropy-coded data: no stuffed zero, restart or fill byte (B.1.1.5)."""
_EIGHT_BITS = 8
_FOUR = 4
_MAX_SEGMENTS = 1000
"""In one place: as many hold 65 MB; ten megabytes of empty ones would take seconds."""
_LUMA = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)]
_USUAL = frozenset(
    [
        *((luma, (1, 1), (1, 1)) for luma in _LUMA),
        *((luma, (1, 1), (1, 1), luma) for luma in _LUMA),
    ]
)
"""Sampling factors that TurboJPEG knows (turbojpeg.c, getSubsamp); it refuses most others."""


@dataclass(frozen=True, slots=True)
class Component:
    """One of a frame's components: its identifier and sampling factors (B.2.2)."""

    identifier: int
    across: int
    down: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame header says."""

    size: Size
    components: tuple[Component, ...]
    progressive: bool
    arithmetic: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan (B.2.3): where it lies, what it codes.

    `sos` is the place of its header, `end` that of the marker after its data; what stands between
    the `end` of a scan and the `sos` of the next are tables.
    """

    sos: int
    end: int
    components: tuple[int, ...]
    """Places in `Frame.components`."""
    first: int
    """Of the band of coefficients, in zigzag order; 0 is DC."""
    last: int
    high: int
    """The bit that was sent before, 0 in a band's first scan."""
    low: int
    """The bit that this scan goes down to."""


@dataclass(frozen=True, slots=True)
class Header:
    """All that is known before a pixel is decoded."""

    frame: Frame
    sos: int
    """Where the first scan's header stands."""
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    profile: bytes = b""
    """The ICC profile, put together from its numbered parts (ICC.1, annex B.4)."""
    scans: tuple[Scan, ...] = ()
    """All scans, if it takes more than one to make the picture; otherwise they are not sought."""
    complete: bool = True
    """An end marker follows the last of `scans`, as it does not in a file that was cut."""

    @property
    def usual(self) -> bool:
        """The sampling is one that TurboJPEG knows; libjpeg itself decodes any."""
        sampling = tuple((each.across, each.down) for each in self.frame.components)
        return len(sampling) == 1 or sampling in _USUAL


def read(data: bytes | memoryview) -> Header:
    """Walk the markers: up to the first scan, or to the end where there are many scans.

    Raises:
        BrokenImage: the header is damaged, or there are more than `MAX_SCANS`.
        NotAnImage: it is of a kind of JPEG that is not decoded.

    """
    orientation, frame = 1, None
    profile: dict[int, bytes] = {}
    for marker, place, segment in _segments(data):
        if marker in _SOF:
            frame = _frame(marker, bytes(segment))
        elif marker == _EXIF and bytes(segment[:6]) == b"Exif\x00\x00":
            orientation = _exif_orientation(bytes(segment[6:]))
        elif marker == _ICC and bytes(segment[:12]) == b"ICC_PROFILE\x00" and len(segment) > _PART:
            profile[segment[_PART - 2]] = bytes(segment[_PART:])
        elif marker == _EOI:
            break
        elif marker == _SOS and frame is not None:
            scans, complete = _scans(data, frame, place, segment)
            joined = b"".join(profile[number] for number in sorted(profile))
            return Header(frame, place, orientation, joined, scans, complete)
    raise _damaged()


def tidy(data: bytes | memoryview, header: Header) -> bytes:
    """Give the file with only what decoding needs before its data, and an end marker after it.

    Of many scans the last one that is begun is the last; half a table after it goes.
    """
    view = memoryview(data)
    count = len(header.frame.components)
    first = (
        _needed(marker, rest, count) for marker, at, rest in _segments(data) if at < header.sos
    )
    end = header.scans[-1].end if header.scans else len(view)
    return b"".join([b"\xff\xd8", *first, view[header.sos : end], b"\xff\xd9"])


def _needed(marker: int, segment: memoryview, count: int) -> bytes:
    """Give a segment as libjpeg takes it without a warning; nothing, if it can do without.

    `count` is that of the components.
    """
    content = bytes(segment)
    if marker == _JFIF and content.startswith(b"JFIF\x00"):
        content = _JFIF_1_01
    elif marker == _ADOBE and content.startswith(b"Adobe") and len(content) > _TRANSFORM:
        # All but 0 libjpeg takes for YCbCr, of four components for YCCK.
        transform = content[_TRANSFORM] and (2 if count == _FOUR else 1)
        content = content[:_TRANSFORM] + bytes([transform])
    elif marker in _APPLICATION:
        return b""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _segments(data: bytes | memoryview, position: int = 2) -> Iterator[tuple[int, int, memoryview]]:
    """Give each marker from `position` up to a scan's data: its code, its place, what it holds."""
    view = memoryview(data)
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT.search(view, position)
        if found is None:
            return
        place = found.start()
        marker = view[place + 1]
        position = place + 2
        if marker in _ALONE:
            continue
        if marker == _EOI:
            yield marker, place, view[:0]
            return
        length = int.from_bytes(view[position : position + 2], "big")
        if length < 2 or position + length > len(view):  # noqa: PLR2004 # it counts itself
            return
        yield marker, place, view[position + 2 : position + length]
        position += length
        if marker == _SOS:
            return


def _scans(
    data: bytes | memoryview, frame: Frame, place: int, segment: memoryview
) -> tuple[tuple[Scan, ...], bool]:
    """Find every scan from the one at `place` on, and tell whether an end marker follows them."""
    if not segment or (not frame.progressive and segment[0] >= len(frame.components)):
        return (), True
    view = memoryview(data)
    scans: list[Scan] = []
    marker, position = _SOS, place
    while marker == _SOS:
        found = _AFTER_DATA.search(view, place + 4 + len(segment))
        position = found.start() if found else len(view)
        scans.append(_scan(frame, segment, place, position))
        if len(scans) > MAX_SCANS:
            msg = f"The JPEG picture has more than {MAX_SCANS} scans."
            raise BrokenImage(msg)
        marker, place, segment = _after(view, position)
    shown = {component for scan in scans if scan.first == 0 for component in scan.components}
    if len(shown) < len(frame.components):
        raise _damaged()
    return tuple(scans), marker == _EOI


def _after(view: memoryview, position: int) -> tuple[int, int, memoryview]:
    """Give the next scan's header or the end marker; if there is neither, marker 0."""
    for marker, place, segment in _segments(view, position):
        if marker in {_SOS, _EOI}:
            return marker, place, segment
    return 0, position, view[:0]


def _scan(frame: Frame, segment: memoryview, place: int, end: int) -> Scan:
    identifiers = [component.identifier for component in frame.components]
    try:
        count = segment[0]
        components = tuple(identifiers.index(segment[1 + 2 * n]) for n in range(count))
        first, last, bits = segment[1 + 2 * count : 4 + 2 * count]
    except (IndexError, ValueError):
        raise _damaged() from None
    if not components:
        raise _damaged()
    return Scan(place, end, components, first, last, bits >> 4, bits & 15)


def _frame(marker: int, segment: bytes) -> Frame:
    if marker in _LOSSLESS:
        msg = "Lossless and hierarchical JPEG are not decoded."
        raise NotAnImage(msg)
    try:
        precision, height, width, count = struct.unpack_from(">BHHB", segment)
        components = tuple(_component(segment[6 + 3 * n : 9 + 3 * n]) for n in range(count))
    except (struct.error, ValueError):
        raise _damaged() from None
    if precision != _EIGHT_BITS:
        msg = f"The JPEG picture has {precision} bits a sample; 8 are decoded."
        raise NotAnImage(msg)
    if not width or not height or not components:
        raise _damaged()
    return Frame(Size(width, height), components, marker in _PROGRESSIVE, marker in _ARITHMETIC)


def _component(described: bytes) -> Component:
    identifier, sampling, _ = described
    if not (sampling >> 4 and sampling & 15):
        raise _damaged()
    return Component(identifier, sampling >> 4, sampling & 15)


def _exif_orientation(tiff: bytes) -> int:
    """Find tag 0x0112 in the first directory; a damaged block counts as none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for n in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * n)
            if tag == 0x0112:  # noqa: PLR2004
                return value if 1 <= value <= 8 else 1  # noqa: PLR2004
    except struct.error:
        pass
    return 1


def _damaged() -> BrokenImage:
    return BrokenImage("The JPEG picture is damaged or incomplete.")
