"""Do not ask again at once for what has just failed, and will fail again."""

from __future__ import annotations

import time
from typing import Any

from micropic.domain import headers, urls
from micropic.domain.blame import lasts
from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    PreviewTooLarge,
    TooComplex,
    TooMuchMemory,
    TooMuchWork,
    from_wire,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.recent import Recent
from micropic.ports import Previewer

_OF_THE_PREVIEW = (BrokenImage, PreviewTooLarge, TooComplex, TooMuchMemory, TooMuchWork)
"""What another preview of the same source may do without."""
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
        source, preview = _keys(request)
        now = time.monotonic()
        known = self._errors.get(source, now) or self._errors.get(preview, now)
        if known is not None and not request.reload:
            raise from_wire(known)
        try:
            return await self._inner.preview(request)
        except MicropicError as error:
            if lasts(error, request.transform):
                self._errors.add(source, error.to_wire(), time.monotonic())
            elif isinstance(error, _OF_THE_PREVIEW):
                self._errors.add(preview, error.to_wire(), time.monotonic())
            raise


def _keys(request: PreviewRequest) -> tuple[str, str]:
    """Return what errors of the source, and of the preview, are remembered by.

    An origin that dislikes a client, or the page that embeds an image, may answer 404 or a page
    in HTML: such an error is remembered for clients that send the same fields.
    """
    source = urls.source_key(request.source, urls.fields_of(request.key))
    alike = headers.plain_digest(request.headers)
    return f"{source}#{alike}", f"{request.key}#{alike}"
