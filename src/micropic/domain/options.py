"""The options segment, both ways: `q=70,f=webp` and the `Transform` that it asks for.

What is equal is written equally: options stand in one order, `dpr` goes into the size, `rot` and
`flip` into one turn, and what changes nothing for this mode or format is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from micropic.domain import accept as accepting
from micropic.domain.errors import BadRequest
from micropic.domain.geometry import turned
from micropic.domain.model import (
    Anchor,
    Colour,
    FocusPoint,
    Format,
    Formats,
    Gravity,
    Mode,
    Size,
    Transform,
)

_COORDINATE = r"(0?\.[0-9]{1,9}|[01]\.?|1\.0{1,9})"
"""From 0 to 1: what it lets pass is right, since it is what /openapi.json says, too."""
_POINT = f"{_COORDINATE}:{_COORDINATE}"
_COLOUR = "[0-9a-fA-F]{3}|[0-9a-fA-F]{6}"

Values = Mapping[str, Any]
"""The options of one address, by their keys, read but not yet applied."""

AUTO = "auto"

_NO_DRAWINGS = (
    "Drawings by explain=1 are for the page at /, which proxy.playground has switched off."
)
WEBP_MAX_SIDE = 16383
"""VP8 has 14 bits for each side of a frame (RFC 6386, section 9.1)."""
_MOST_OF_WEBP = 2**24
"""Pixels up to which WebP is chosen by Accept. 33 megapixels take most of the time that a render
has, three times as long as a JPEG; transparent, they take more than the default memory."""

_STILL = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF)
_ANIMATED = (Format.WEBP, Format.GIF)
_ORIENTATION = {"90": 6, "180": 3, "270": 8, "h": 2, "v": 4}
"""The EXIF orientation that asks for each `rot` and `flip` (Exif 2.32, section 4.6.4)."""
_TURNS = {
    2: "flip=h", 3: "rot=180", 4: "flip=v", 5: "rot=90,flip=h", 6: "rot=90",
    7: "rot=90,flip=v", 8: "rot=270",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where an address says nothing."""

    quality: int = 80
    avif_quality: int = 65
    max_side: int = 8192
    max_pixels: float = math.inf
    max_avif_pixels: float = math.inf
    """Pixels up to which `f=auto` chooses AVIF."""
    faces: bool = True
    """`g=face` can be had."""
    explain: bool = True
    """`explain=1` can be had."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the value of an option."""

    parse: Callable[[str], Any]
    """Raises ValueError."""
    schema: Mapping[str, Any]
    """What it takes, as JSON Schema (2020-12)."""

    def __call__(self, value: str) -> Any:
        """Give what a value means.

        Raises:
            ValueError: it is none.

        """
        return self.parse(value)


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the options segment."""

    meaning: str
    expected: str
    """What its value must be; ends the sentence of the error."""
    default: str
    read: Reader


def read(segment: bytes) -> Values:
    """Read `key=value` pairs joined by commas.

    Raises:
        BadRequest: a key is not known or stands twice, or a value is not what it must be.

    """
    values: dict[str, Any] = {}
    for part in segment.split(b",") if segment else []:
        key, _, raw = part.partition(b"=")
        name, value = key.decode("ascii"), raw.decode("utf-8", "replace")
        if name not in OPTIONS:
            known = ", ".join(f"{key} ({option.meaning})" for key, option in OPTIONS.items())
            msg = f"There is no option {name!r}. The options are {known}."
            raise BadRequest(msg)
        if name in values:
            msg = f"The option {name!r} stands twice."
            raise BadRequest(msg)
        try:
            values[name] = OPTIONS[name].read(value)
        except ValueError:
            option = OPTIONS[name]
            msg = f"The {option.meaning} {name} must be {option.expected}, not {value!r}."
            raise BadRequest(msg) from None
    return values


def transform(
    mode: Mode, size: Size, values: Values, defaults: Defaults, accept: str = ""
) -> Transform:
    """Make a transform of options and of the client's Accept field.

    Raises:
        BadRequest: the size times `dpr` is longer than a side may be, or has too many pixels, or
            what is asked for is not to be had here.

    """
    if values.get("g") is Anchor.FACE and not defaults.faces:
        msg = "The gravity g=face needs the extra micropic[faces], which is not installed here."
        raise BadRequest(msg)
    if values.get("explain") and not defaults.explain:
        raise BadRequest(_NO_DRAWINGS)
    fills = mode is Mode.FILL
    wanted = _multiplied(size, values.get("dpr", 1.0), defaults)
    if fills:  # what `fit` answers is never larger than its source
        _check_pixels(wanted, defaults)
    formats = _formats(values, accept, wanted, defaults)
    return Transform(
        mode,
        wanted,
        # Nothing is cut off or enlarged by `fit`: one value for all, so that all share an entry.
        gravity=values.get("g", Anchor.SMART) if fills else Anchor.CENTER,
        quality=_quality(values, formats, defaults),
        formats=formats,
        turn=turned(values.get("rot", 1), values.get("flip", 1)),
        trim=values.get("trim"),
        enlarge=values.get("enlarge", True) if fills else True,
        background=values.get("bg"),
        blur=values.get("blur", 0.0),
        sharpen=values.get("sharpen", 0.0),
        explain=values.get("explain", False),
    )


def check(transform: Transform, defaults: Defaults) -> None:
    """Check a transform that was not made of options here.

    Raises:
        BadRequest: a side or the number of pixels is over its limit, or drawings are off.

    """
    if not all(1 <= side <= defaults.max_side for side in transform.size):
        msg = f"A side may have 1 to {defaults.max_side} pixels."
        raise BadRequest(msg)
    if transform.mode is Mode.FILL:
        _check_pixels(transform.size, defaults)
    if transform.explain and not defaults.explain:
        raise BadRequest(_NO_DRAWINGS)


def negotiated(values: Values) -> frozenset[str]:
    """Give the media types of answers that another Accept would have made others."""
    chosen, animated = values.get("f"), values.get("anim")
    depends: set[Format] = set()
    if chosen == AUTO:
        depends.update(_STILL)
    elif chosen is None and "bg" not in values:
        depends.update({Format.PNG, Format.WEBP})
    if animated is True and not isinstance(chosen, Formats):
        depends.update(_ANIMATED)
    return frozenset(format_.media_type for format_ in depends)


def write(transform: Transform) -> str:
    """Give the normal form of all options; `dpr` is in the size already."""
    formats = transform.formats
    written = {
        "f": _written_formats(formats),
        "g": _written_gravity(transform.gravity),
        "q": str(transform.quality),
        "anim": formats.animated,
        "trim": transform.trim,
        "enlarge": None if transform.enlarge else "0",
        "bg": "{:02x}{:02x}{:02x}".format(*transform.background) if transform.background else None,
        "blur": f"{transform.blur:g}" if transform.blur else None,
        "sharpen": f"{transform.sharpen:g}" if transform.sharpen else None,
        "explain": "1" if transform.explain else None,
    }
    parts = [f"{key}={value}" for key, value in written.items() if value is not None]
    if transform.turn in _TURNS:
        parts.append(_TURNS[transform.turn])
    return ",".join(parts)


def _multiplied(size: Size, ratio: float, bounds: Defaults) -> Size:
    multiplied = Size(*(max(1, round(side * ratio)) for side in size))
    if ratio > 1 and max(multiplied) > bounds.max_side:
        msg = (
            f"With dpr={ratio:g} the answer would be {multiplied.width} x {multiplied.height}; "
            f"a side may have {bounds.max_side} pixels."
        )
        raise BadRequest(msg)
    return multiplied


def _check_pixels(size: Size, bounds: Defaults) -> None:
    if size.width * size.height > bounds.max_pixels:
        msg = (
            f"The answer would have {size.width} x {size.height} pixels; "
            f"{bounds.max_pixels} are allowed."
        )
        raise BadRequest(msg)


def _formats(values: Values, accept: str, size: Size, bounds: Defaults) -> Formats:
    chosen = values.get("f")
    pixels, webp = size.width * size.height, _takes_webp(accept, size)
    if isinstance(chosen, Formats):
        opaque, transparent, _ = chosen
    elif chosen == AUTO:
        modern = {Format.WEBP} if webp else set()
        if accepting.takes(accept, Format.AVIF) and pixels <= bounds.max_avif_pixels:
            modern.add(Format.AVIF)
        opaque = accepting.best(accept, frozenset({Format.JPEG, *modern}))
        transparent = accepting.best(accept, frozenset({Format.PNG, *modern}))
    else:
        opaque = Format.JPEG
        transparent = Format.WEBP if webp else Format.PNG
    if "bg" in values:
        transparent = opaque  # nothing is left transparent
    animated = values.get("anim")
    if animated is True:
        if isinstance(chosen, Formats):
            webp = chosen.opaque is Format.WEBP
        animated = Format.WEBP if webp else Format.GIF
    return Formats(opaque, transparent, animated or None)


def _takes_webp(accept: str, size: Size) -> bool:
    fits = max(size) <= WEBP_MAX_SIDE and size.width * size.height <= _MOST_OF_WEBP
    return fits and accepting.takes(accept, Format.WEBP)


def _quality(values: Values, formats: Formats, defaults: Defaults) -> int:
    if set(formats) <= {Format.PNG, Format.GIF, None}:
        return 100  # these lose nothing: one value for all
    default = defaults.avif_quality if formats.opaque is Format.AVIF else defaults.quality
    quality: int = values.get("q", default)
    return quality


# --- values, as they are read and written ----------------------------------------------------


def _whole(least: int, most: int) -> Reader:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,11}", value, re.ASCII) or not least <= int(value) <= most:
            raise ValueError
        return int(value)

    return Reader(parse, {"type": "integer", "minimum": least, "maximum": most})


def _decimal(least: float, most: float) -> Reader:
    def parse(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,20})?", value, re.ASCII):
            raise ValueError
        number = round(float(value), 2)  # a normal form wants an end to the places
        if not least <= number <= most:
            raise ValueError
        return number

    return Reader(parse, {"type": "number", "minimum": least, "maximum": most})


def _one_of(meanings: Mapping[str, Any]) -> Reader:
    def parse(value: str) -> Any:
        if value not in meanings:
            raise ValueError
        return meanings[value]

    return Reader(parse, {"enum": [*meanings]})


def _read_formats(value: str) -> Formats | str:
    if value == AUTO:
        return AUTO
    opaque, plus, transparent = value.partition("+")
    formats = Formats(Format(opaque), Format(transparent if plus else opaque))
    if not {formats.opaque, formats.transparent} <= set(_STILL):
        raise ValueError
    return formats


def _written_formats(formats: Formats) -> str:
    opaque, transparent, _ = formats
    return opaque if opaque is transparent else f"{opaque}+{transparent}"


def _read_gravity(value: str) -> Gravity:
    if value in {anchor.value for anchor in Anchor}:
        return Anchor(value)
    match = re.fullmatch(_POINT, value)
    if match is None:
        raise ValueError
    # Four places are a pixel in the largest picture; a normal form wants an end to them.
    x, y = (round(float(text), 4) for text in match.groups())
    return FocusPoint(x, y)


def _written_gravity(gravity: Gravity) -> str:
    return gravity.value if isinstance(gravity, Anchor) else f"{gravity.x:.4g}:{gravity.y:.4g}"


def _read_colour(value: str) -> Colour:
    if not re.fullmatch(_COLOUR, value):
        raise ValueError
    digits = value if len(value) == 6 else "".join(2 * digit for digit in value)  # noqa: PLR2004
    return Colour(*bytes.fromhex(digits))


def _pattern(expression: str) -> dict[str, str]:
    return {"type": "string", "pattern": f"^(?:{expression})$"}


_STILL_NAMES = "|".join(_STILL)
_ANCHORS = ", ".join(anchor.value for anchor in Anchor)
_ON_OFF = {"0": False, "1": True}

OPTIONS = {
    "q": Option("quality", "a whole number from 1 to 100", "`previewer.quality`", _whole(1, 100)),
    "f": Option(
        "format",
        "jpeg, png, webp, avif, auto (the best that Accept takes), "
        "or one for opaque and one for transparent pictures such as jpeg+png",
        "`jpeg+webp` if Accept names WebP, else `jpeg+png`",
        Reader(
            _read_formats,
            _pattern(rf"{AUTO}|(?:{_STILL_NAMES})(?:\+(?:{_STILL_NAMES}))?"),
        ),
    ),
    "g": Option(
        "gravity",
        f"one of {_ANCHORS}, or a focus point from 0:0 to 1:1 such as 0.3:0.7",
        "`smart`",
        Reader(_read_gravity, _pattern(f"{'|'.join(Anchor)}|{_POINT}")),
    ),
    "dpr": Option(
        "device pixel ratio", "a number from 1 to 4, which multiplies the size", "`1`",
        _decimal(1, 4),
    ),
    "rot": Option(
        "rotation", "90, 180 or 270, clockwise", "none",
        _one_of({"0": 1} | {key: _ORIENTATION[key] for key in ("90", "180", "270")}),
    ),
    "flip": Option(
        "mirroring", "h (left and right change places) or v (up and down do)", "none",
        _one_of({key: _ORIENTATION[key] for key in "hv"}),
    ),
    "trim": Option(
        "trimming of a border of one colour",
        "a tolerance, a whole number of levels from 1 to 128", "none",
        _whole(1, 128),
    ),
    "enlarge": Option(
        "enlarging by fill", "0 (never: smaller than asked, in the same shape) or 1", "`1`",
        _one_of(_ON_OFF),
    ),
    "bg": Option(
        "background under what is transparent", "a colour as 3 or 6 hexadecimal digits",
        "white, where the format is JPEG", Reader(_read_colour, _pattern(_COLOUR)),
    ),
    "blur": Option(
        "blur", "a number of pixels (sigma) from 0.3 to 100", "none", _decimal(0.3, 100)
    ),
    "sharpen": Option(
        "sharpening", "a number of pixels (sigma) from 0.3 to 10", "none", _decimal(0.3, 10)
    ),
    "anim": Option(
        "animation", "0 (its first frame), 1 (kept, as WebP where that is asked for or taken, "
        "else as GIF), webp or gif", "`0`",
        _one_of(_ON_OFF | {str(known): known for known in _ANIMATED}),
    ),
    "exp": Option(
        "expiry", "a time in whole seconds of the Unix epoch, after which the answer is a 403",
        "none", _whole(0, 10**11 - 1),
    ),
    "explain": Option(
        "drawing of how the cut was chosen, where proxy.playground is on",
        "1 (the whole picture, bright what stands out, framed what is kept) or 0", "`0`",
        _one_of(_ON_OFF),
    ),
}  # fmt: skip
