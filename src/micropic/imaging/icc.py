"""ICC profiles: which ones are sRGB, and how pixels come from another one to sRGB (ICC.1:2010)."""

from __future__ import annotations

import struct

import pyvips

from micropic.imaging.pixels import Pixels, from_vips, to_vips

_TAG_COUNT, _TAGS = 128, 132
_COLOUR_SPACE = slice(16, 20)
_PRIMARIES = {
    b"rXYZ": (0.4360, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
"""Of sRGB, adapted to D50 (IEC 61966-2-1)."""
_MIDDLE = 0.2140
"""What the sRGB curve makes of one half."""
_TOLERANCE = 0.005
"""Profiles round; half a per cent is less than two levels anywhere but in the darkest."""


def is_rgb(profile: bytes) -> bool:
    """Tell whether the profile is for RGB pixels."""
    return profile[_COLOUR_SPACE] == b"RGB "


def is_srgb(profile: bytes) -> bool:
    """Tell whether the profile says no more than that the pixels are sRGB, as nearly all do."""
    try:
        tags = _tags(profile)
        curve = _at_one_half(tags[b"rTRC"])
        primaries = [_xyz(tags[name]) for name in _PRIMARIES]
    except (struct.error, KeyError, IndexError, ValueError):
        return False
    differences = [
        abs(one - other)
        for found, expected in zip(primaries, _PRIMARIES.values(), strict=True)
        for one, other in zip(found, expected, strict=True)
    ]
    return max(*differences, abs(curve - _MIDDLE)) < _TOLERANCE and b"A2B0" not in tags


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """Bring RGB pixels from a profile to sRGB; with one that makes no sense they stay."""
    image = to_vips(pixels)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    try:
        return from_vips(image.icc_transform("srgb", embedded=True, depth=8))
    except pyvips.Error:
        return pixels


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Give the tags' data by their signatures (7.3)."""
    (count,) = struct.unpack_from(">I", profile, _TAG_COUNT)
    tags = {}
    for number in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", profile, _TAGS + 12 * number)
        tags[name] = profile[offset : offset + size]
    return tags


def _xyz(tag: bytes) -> tuple[float, ...]:
    """Read an XYZType (10.31)."""
    return tuple(value / 65536 for value in struct.unpack_from(">3i", tag, 8))


def _at_one_half(tag: bytes) -> float:
    """Give what a curve makes of one half: curveType (10.6), parametricCurveType (10.18)."""
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        gamma, a, b, c, d = (n / 65536 for n in struct.unpack_from(">5i", tag, 12))
        if kind != 3:  # noqa: PLR2004 # the form that sRGB has
            raise ValueError
        return float((a * 0.5 + b) ** gamma) if d <= 0.5 else c * 0.5  # noqa: PLR2004
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 1:  # a gamma, which sRGB is not
        raise ValueError
    low, high = struct.unpack_from(">2H", tag, 12 + 2 * ((count - 1) // 2))
    return float(low if count % 2 else (low + high) / 2) / 65535
