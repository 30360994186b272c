"""Pixels to files; docs/engine.md has the measurements behind the efforts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyvips
import simplejpeg

from micropic.domain.errors import PreviewTooLarge
from micropic.domain.model import Format, Size
from micropic.domain.options import WEBP_MAX_SIDE
from micropic.imaging.frames import Frames
from micropic.imaging.kinds import Limits, no_memory
from micropic.imaging.pixels import has_alpha, to_vips

_WEBP_EFFORT = 2
_AVIF_EFFORT = 1
_GIF_EFFORT = 4
_PNG_COMPRESSION = 3


def too_large(wanted: Format, size: Size, frames: int, limits: Limits) -> PreviewTooLarge | None:
    """Return the error for a preview that its format cannot hold, or that is over the limits."""
    pixels = size.width * size.height
    if wanted is Format.WEBP and max(size) > WEBP_MAX_SIDE:
        shown = f"a WebP has at most {WEBP_MAX_SIDE} pixels a side"
    elif wanted is Format.AVIF and pixels > limits.avif_output_pixels:
        shown = f"an AVIF may have {limits.avif_output_pixels} pixels"
    elif frames > 1 and frames * pixels > limits.pixels:
        shown = f"an animation may have {limits.pixels} pixels in all its {frames} frames"
    else:
        return None
    return PreviewTooLarge(
        f"The preview would have {size.width} x {size.height} pixels; {shown}. "
        "Request a smaller size or another format."
    )


def encode(frames: Frames, wanted: Format, quality: int) -> bytes:
    """Encode without metadata; `quality` from 1 to 100, on the format's own scale.

    Raises:
        TooMuchMemory: the encoder took more than the process may have.

    """
    try:
        return _ENCODERS[wanted](frames, quality)
    except (pyvips.Error, ValueError) as error:
        # The pixels are sound, and as many as the format may have: memory is what can be missing.
        # No encoder says so in a way of its own (aom: "Failed to allocate frame buffer", libwebp:
        # "picture memory error", simplejpeg: a ValueError).
        raise no_memory() from error


def _jpeg(frames: Frames, quality: int) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(frames.first), quality=quality, colorsubsampling="420", fastdct=True
    )
    return data


def _png(frames: Frames, quality: int) -> bytes:  # noqa: ARG001 # it loses nothing
    data: bytes = to_vips(frames.first).pngsave_buffer(
        compression=_PNG_COMPRESSION,
        filter=pyvips.ForeignPngFilter.ALL,
        keep=pyvips.ForeignKeep.NONE,
    )
    return data


def _webp(frames: Frames, quality: int) -> bytes:
    data: bytes = _roll(frames).webpsave_buffer(
        Q=quality, effort=_WEBP_EFFORT, keep=pyvips.ForeignKeep.NONE
    )
    return data


def _avif(frames: Frames, quality: int) -> bytes:
    data: bytes = to_vips(frames.first).heifsave_buffer(
        compression=pyvips.ForeignHeifCompression.AV1,
        Q=quality,
        effort=_AVIF_EFFORT,
        bitdepth=8,
        keep=pyvips.ForeignKeep.NONE,
    )
    return data


def _gif(frames: Frames, quality: int) -> bytes:  # noqa: ARG001 # it has no such scale
    data: bytes = _roll(frames).gifsave_buffer(effort=_GIF_EFFORT, keep=pyvips.ForeignKeep.NONE)
    return data


def _roll(frames: Frames) -> pyvips.Image:
    """Give the frames one below the other, as libvips writes animations."""
    if len(frames.pixels) == 1:
        return to_vips(frames.first)
    if any(has_alpha(pixels) for pixels in frames.pixels):
        images = [_with_alpha(to_vips(pixels)) for pixels in frames.pixels]
    else:
        images = [to_vips(pixels) for pixels in frames.pixels]
    roll = pyvips.Image.arrayjoin(images, across=1).copy()
    roll.set_type(pyvips.GValue.gint_type, "page-height", frames.first.shape[0])
    roll.set_type(pyvips.GValue.array_int_type, "delay", list(frames.delays))
    roll.set_type(pyvips.GValue.gint_type, "loop", frames.loop)
    return roll


def _with_alpha(image: pyvips.Image) -> pyvips.Image:
    return image if image.hasalpha() else image.addalpha()


_ENCODERS: dict[Format, Callable[[Frames, int], bytes]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.AVIF: _avif,
    Format.GIF: _gif,
}
