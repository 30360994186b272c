"""Do not ask again at once for what has just failed, and will fail again."""

from __future__ import annotations

import time
from typing import Any

from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    NotAnImage,
    OriginRefused,
    SourceTooLarge,
    TooComplex,
    TooManyPixels,
    TooMuchMemory,
    TooMuchWork,
    from_wire,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.recent import Recent
from micropic.ports import Previewer

_LASTING = (BrokenImage, NotAnImage, SourceTooLarge, TooManyPixels)
"""What is wrong with a picture, whoever asks for it and in whichever size."""
_OF_THE_PREVIEW = (TooComplex, TooMuchMemory, TooMuchWork)
"""What another size of the same picture may do without."""
_GONE = {404, 410}
_MOST = 10_000
"""How many errors are remembered."""


class RememberedErrors:
    """Answers for `seconds` with the error that a source, or this preview of it, has just had.

    So a page with a broken picture on it does not hammer its origin. What may be right for the
    next client, such as a 403, or in the next moment, such as a time-out, is not remembered.

    An error is remembered by what it says alone: its traceback, and that of what caused it, hold
    all that the request had in hand, such as a source of any size.
    """

    def __init__(self, seconds: float, inner: Previewer) -> None:
        self._inner = inner
        self._errors: Recent[dict[str, Any]] = Recent(seconds, _MOST)

    async def preview(self, request: PreviewRequest) -> Preview:
        """Raise what is remembered of the source or the preview, or ask the next previewer."""
        source, now = str(request.source), time.monotonic()
        known = self._errors.get(source, now) or self._errors.get(request.key, now)
        if known is not None and not request.reload:
            raise from_wire(known)
        try:
            return await self._inner.preview(request)
        except MicropicError as error:
            if _lasts(error):
                self._errors.add(source, error.to_wire(), time.monotonic())
            elif isinstance(error, _OF_THE_PREVIEW):
                self._errors.add(request.key, error.to_wire(), time.monotonic())
            raise


def _lasts(error: MicropicError) -> bool:
    return isinstance(error, _LASTING) or (
        isinstance(error, OriginRefused) and error.status in _GONE
    )
