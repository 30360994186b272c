"""What a failure says about: the source image, or only the preview that was requested.

Anyone may request any transform of anyone's image. So a failure counts against an image only if
the request asked for no more than the image itself requires; else the worst transform that a
stranger can think of would take all other sizes of the image out of service.
"""

from __future__ import annotations

from micropic.domain.errors import (
    GONE,
    BrokenImage,
    MicropicError,
    NotAnImage,
    OriginRefused,
    RenderCrashed,
    RenderTimeout,
    SourceTooLarge,
    TooManyPixels,
)
from micropic.domain.model import Transform

_CHEAP_PIXELS = 2**21
"""1920 x 1080 is within. Any format encodes so many in a fraction of the default limits."""
_CHEAP_SIDE = 2048
"""`fill` decodes a whole image large enough to cover its box: 8192 x 1 is not cheap."""
_THUMBNAIL_SIDE = 256


def is_cheap(transform: Transform) -> bool:
    """Return True if the transform costs little time and memory beyond decoding the image.

    The preview is small, and no option makes decoding or rendering more expensive: `anim` decodes
    every frame, `trim` decodes at a larger scale, `blur` and `sharpen` convolve, `explain` computes
    a saliency map of the whole image.
    """
    width, height = transform.size
    return (
        width * height <= _CHEAP_PIXELS
        and max(width, height) <= _CHEAP_SIDE
        and not (transform.blur or transform.sharpen or transform.explain)
        and transform.trim is None
        and transform.formats.animated is None
    )


def blamed(image: str, transform: Transform, *, drawing: bool) -> str:
    """Return the name of what strikes count for: the image, or a drawing at about this size.

    An image with pixels is decoded once for all sizes, more or less. A drawing takes as long as it
    has pixels, and those are what the request asks for: one that is fine at 300 x 200 hung at
    2040 x 1020. Within a factor of two in each side, its sizes are taken for one.
    """
    if not drawing:
        return image
    width, height = (side.bit_length() for side in transform.size)
    return f"{image}/{transform.mode}-{width}-{height}"


def lasts(error: MicropicError, transform: Transform) -> bool:
    """Return True if every other preview of this source would fail in the same way for a while.

    Damage may concern large previews alone: the late scans of a progressive JPEG and the fine
    levels of a TIFF are not decoded for a thumbnail. So it counts for the source if a thumbnail
    shows it.
    """
    if isinstance(error, OriginRefused):
        return error.status in GONE and "*" not in error.varies_by
    if isinstance(error, BrokenImage):
        return is_cheap(transform) and max(transform.size) <= _THUMBNAIL_SIDE
    return isinstance(error, NotAnImage | SourceTooLarge | TooManyPixels)


def incriminates_image(error: RenderCrashed | RenderTimeout, transform: Transform) -> bool:
    """Return True if a crash or timeout counts against the image, whatever is requested of it.

    It does if it happened while decoding for a cheap transform. A later crash does too: the
    caller counts it once per transform, so that it takes several of them. A later timeout only
    says that the machine was busy.
    """
    return is_cheap(transform) and (error.decoding or isinstance(error, RenderCrashed))
