"""What an ICC profile says of itself: which ones are for RGB, and which are sRGB (ICC.1:2010)."""

from __future__ import annotations

import struct

_TAG_COUNT, _TAGS = 128, 132
_COLOUR_SPACE = slice(16, 20)
_SIGNATURE = slice(36, 40)
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


def is_profile(profile: bytes) -> bool:
    """Tell a profile from what only stands where one should (7.2.9)."""
    return profile[_SIGNATURE] == b"acsp"


def space(profile: bytes) -> bytes:
    """Give the signature of the colour space that the profile is for (7.2.6)."""
    return profile[_COLOUR_SPACE]


def is_rgb(profile: bytes) -> bool:
    """Tell whether the profile is for RGB pixels."""
    return space(profile) == b"RGB "


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
