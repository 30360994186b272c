"""Progressive JPEG at a small scale: only the scans that can be seen there.

libjpeg decodes every scan of a progressive file, at any scale. At 1/8 its inverse DCT uses a
block's DC coefficient alone (jidctred.c), so every AC scan is work for nothing. Whole scans can be
left out of the file, since each starts its decoder anew.

Two things make that less simple:

- Subsampled chroma is decoded at a larger scale where that saves upsampling (jdmaster.c): 4:2:0 at
  1/8 has its chroma at 2/8, and from there on libjpeg uses coefficients up to the last.
- Where AC coefficients are missing libjpeg guesses them and blurs the DC (block smoothing,
  jdcoefct.c). A scan of a few bytes that says "all are zero" keeps it from that.
"""

from __future__ import annotations

from micropic.domain.model import Size
from micropic.imaging.jpeg_header import Frame, Header, Scan

_WHOLE = 8
"""Samples of a block's side at full scale."""
_QUARTER = 2
_RUN = 1 << 14
"""Blocks that the symbol EOB14 with its 14 bits at zero ends (T.81, G.1.2.2)."""
_RUN_BITS = 1 + 14
_NO_RESTARTS = b"\xff\xdd\x00\x04\x00\x00"
_EOB14_ALONE = b"\xff\xc4\x00\x14\x10" + bytes([1] + 15 * [0]) + b"\xe0"
"""A Huffman table: AC, number 0, the code `0` for EOB14."""
_EOI = b"\xff\xd9"


def shown(data: bytes | memoryview, header: Header, scale: int) -> bytes | memoryview:
    """Leave out the scans that cannot be seen at `scale` eighths; `data` itself if all can.

    A file without an end marker is not touched: whether data is missing shows in the last scan.
    """
    frame = header.frame
    if not (frame.progressive and header.complete) or frame.arithmetic or scale > _QUARTER:
        return data
    sides = [_side(frame, component, scale) for component in range(len(frame.components))]
    dropped = [scan for scan in header.scans if _is_unseen(scan, sides)]
    if not dropped:
        return data
    view, position, parts = memoryview(data), 0, []
    for scan in dropped:
        parts.append(view[position : scan.sos])
        position = scan.end
    parts.append(view[position : header.scans[-1].end])
    flat = {scan.components[0] for scan in dropped if sides[scan.components[0]] == 1}
    return b"".join([*parts, *(_all_zero(frame, component) for component in sorted(flat)), _EOI])


def _side(frame: Frame, component: int, scale: int) -> int:
    """Give the samples of a side that a block of a component is decoded to, as jdmaster.c does."""
    across = max(each.across for each in frame.components)
    down = max(each.down for each in frame.components)
    this, side = frame.components[component], scale
    while (
        side < _WHOLE
        and across * scale % (this.across * side * 2) == 0
        and down * scale % (this.down * side * 2) == 0
    ):
        side *= 2
    return side


def _is_unseen(scan: Scan, sides: list[int]) -> bool:
    if scan.first == 0:
        return False
    (component,) = scan.components[:1]
    return sides[component] == 1


def _all_zero(frame: Frame, component: int) -> bytes:
    """Give a scan that says a component's AC coefficients are all zero."""
    size = _in_blocks(frame, component)
    runs = -(-size.width * size.height // _RUN)
    identifier = frame.components[component].identifier
    header = bytes([0xFF, 0xDA, 0, 8, 1, identifier, 0, 1, 63, 0])
    return _NO_RESTARTS + _EOB14_ALONE + header + bytes(-(-runs * _RUN_BITS // 8))


def _in_blocks(frame: Frame, component: int) -> Size:
    """Give the blocks of a component in a scan of its own (T.81, A.2.2)."""
    across = max(each.across for each in frame.components)
    down = max(each.down for each in frame.components)
    this = frame.components[component]
    samples = Size(
        -(-frame.size.width * this.across // across), -(-frame.size.height * this.down // down)
    )
    return Size(-(-samples.width // _WHOLE), -(-samples.height // _WHOLE))
