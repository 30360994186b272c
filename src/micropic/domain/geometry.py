"""Sizes and boxes: numbers in, numbers out.

```
            source 4000 x 3000, fill 300x200          fit 300x200
whole       the smallest size of the source that      300x200 -> 267x200
            covers the box: 300x225
decoded     at least `whole`, whatever the codec       at least 267x200
            offers: 500x375
window      the largest box of the output's shape      (no window)
            inside `decoded`: 500x333
place       where the window stands: by gravity
output      300x200, always                            267x200
```
"""

from __future__ import annotations

from math import ceil

from micropic.domain.model import Anchor, Box, FocusPoint, Mode, Size

ALIGNMENT: dict[Anchor, FocusPoint] = {
    Anchor.CENTER: FocusPoint(0.5, 0.5),
    Anchor.NORTH: FocusPoint(0.5, 0),
    Anchor.NORTHEAST: FocusPoint(1, 0),
    Anchor.EAST: FocusPoint(1, 0.5),
    Anchor.SOUTHEAST: FocusPoint(1, 1),
    Anchor.SOUTH: FocusPoint(0.5, 1),
    Anchor.SOUTHWEST: FocusPoint(0, 1),
    Anchor.WEST: FocusPoint(0, 0.5),
    Anchor.NORTHWEST: FocusPoint(0, 0),
}
"""The share of the room left over that stands before the window, in x and in y."""


_FLIPS = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip
"""What undoes each EXIF orientation (Exif 2.32, section 4.6.4): whether rows and columns change
places, then whether the rows, then the columns, are turned about."""


def flips(orientation: int) -> tuple[bool, bool, bool]:
    """Tell what sets a picture upright: transpose it, reverse its rows, reverse its columns."""
    return _FLIPS[orientation]


def turned(first: int, second: int) -> int:
    """Give the one orientation that asks for what `first` and then `second` ask for."""
    transpose, rows, columns = _FLIPS[first]
    transpose_next, rows_next, columns_next = _FLIPS[second]
    if transpose_next:
        rows, columns = columns, rows
    both = (transpose != transpose_next, rows != rows_next, columns != columns_next)
    return next(orientation for orientation, flips in _FLIPS.items() if flips == both)


def displayed(stored: Size, orientation: int) -> Size:
    """Give the size as people see it; EXIF orientations 5 to 8 lie on their side."""
    return Size(stored.height, stored.width) if orientation >= 5 else stored  # noqa: PLR2004


def fit_size(source: Size, box: Size) -> Size:
    """Scale `source` to stand inside `box`, never enlarged, each side at least one pixel."""
    scale = min(1.0, box.width / source.width, box.height / source.height)
    return Size(
        min(box.width, max(1, round(source.width * scale))),
        min(box.height, max(1, round(source.height * scale))),
    )


def cover_size(source: Size, box: Size) -> Size:
    """Scale `source` to the smallest size that covers `box` on both sides."""
    if source.width * box.height >= source.height * box.width:
        return Size(ceil(source.width * box.height / source.height), box.height)
    return Size(box.width, ceil(source.height * box.width / source.width))


def shrunk_box(source: Size, box: Size) -> Size:
    """Give the largest size of the box's shape, up to the box, that enlarges nothing."""
    scale = min(1.0, source.width / box.width, source.height / box.height)
    return Size(max(1, round(box.width * scale)), max(1, round(box.height * scale)))


def output_size(source: Size, mode: Mode, box: Size, *, enlarge: bool = True) -> Size:
    """Give the size of the answer."""
    if mode is Mode.FIT:
        return fit_size(source, box)
    return box if enlarge else shrunk_box(source, box)


def whole_size(source: Size, mode: Mode, box: Size) -> Size:
    """Give the smallest size of the whole picture from which the answer can be cut."""
    return cover_size(source, box) if mode is Mode.FILL else fit_size(source, box)


def window_size(picture: Size, output: Size) -> Size:
    """Give the largest window of the output's shape that fits in `picture`, in its pixels."""
    scale = min(picture.width / output.width, picture.height / output.height)
    return Size(
        min(picture.width, max(1, round(output.width * scale))),
        min(picture.height, max(1, round(output.height * scale))),
    )


def place_aligned(picture: Size, window: Size, alignment: FocusPoint) -> Box:
    """Place the window so that `alignment` of the room left over stands before it."""
    return Box(
        round((picture.width - window.width) * alignment.x),
        round((picture.height - window.height) * alignment.y),
        *window,
    )


def place_around(picture: Size, window: Size, focus: FocusPoint) -> Box:
    """Place the window with `focus` as near to its middle as the picture's edges allow."""
    left = round(picture.width * focus.x - window.width / 2)
    top = round(picture.height * focus.y - window.height / 2)
    return Box(
        max(0, min(left, picture.width - window.width)),
        max(0, min(top, picture.height - window.height)),
        *window,
    )
