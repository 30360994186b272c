"""Quarantine: stop rendering what crashes or hangs one render process after the other."""

from __future__ import annotations

import hashlib
import time

import structlog

from micropic.domain import urls
from micropic.domain.blame import blamed, incriminates_image, is_cheap
from micropic.domain.drawings import is_drawing
from micropic.domain.errors import (
    Quarantined,
    RenderCrashed,
    RenderTimeout,
    TooComplex,
    TooMuchMemory,
)
from micropic.domain.model import Preview, PreviewRequest, Rendered, Transform
from micropic.domain.purge import Purge
from micropic.domain.recent import Recent
from micropic.ports import Renderer

log = structlog.get_logger()

_STRIKE = 10
_EXPLAINED = 1
"""What a process that ended for lack of memory or time counts for: so it says itself, and a picture
that has taken it over may say so each time."""
_OUT = 3 * _STRIKE
_SECONDS = 3600.0
_MOST = 10_000
"""How many images, and how many previews, are remembered."""


class Strikes:
    """How often images and single previews of them have crashed or hung a render process.

    At the third strike an image, or a preview, is quarantined; a process that ends for lack of
    memory or time counts for a tenth of one. Images are known by the SHA-256 of their bodies:
    another URL of the same bytes is no new start, and other bytes are. A strike expires after an
    hour without another, and each preview that succeeds takes one away: an image that many request
    is not quarantined because of what befell the machine. An `image` is what `domain.blame.blamed`
    names: a drawing is another one at another size.
    """

    def __init__(self) -> None:
        self._counts: Recent[int] = Recent(_SECONDS, 2 * _MOST)
        """By image, and by image and transform."""
        self._images: Recent[str] = Recent(_SECONDS, _MOST)
        """The image at each source that has had a strike or was refused, for purges."""

    def is_quarantined(self, image: str, transform: Transform, now: float) -> bool:
        """Return True if the image, or this preview of it, is refused at `now`."""
        counted = image, _preview(image, transform)
        return any(self._count(key, now) >= _OUT for key in counted)

    def add(
        self,
        image: str,
        transform: Transform,
        now: float,
        *,
        of_image: bool,
        weight: int = _STRIKE,
    ) -> bool:
        """Count one more strike; return True if the image as a whole is quarantined by it."""
        self._add(_preview(image, transform), now, weight)
        return of_image and self._add(image, now, weight)

    def has_struck(self, image: str, transform: Transform, now: float) -> bool:
        """Return True if this preview has a strike already."""
        return self._count(_preview(image, transform), now) >= _STRIKE

    def take_away(self, image: str, transform: Transform, now: float) -> None:
        """Count one strike less for the image and this preview of it."""
        for key in (image, _preview(image, transform)):
            count = self._count(key, now)
            if count:
                self._counts.forget(key)
            if count > _STRIKE:
                self._counts.add(key, count - _STRIKE, now)

    def note_source(self, source: str, image: str, now: float) -> None:
        """Remember which image a source (by its key) is, so that a purge of it can be obeyed."""
        self._images.add(source, image.partition("/")[0], now)

    async def purge(self, what: Purge) -> int:
        """Forget the strikes of the images at these sources; they are no entries of a cache."""
        images = set(self._images.values_of(what.concerns))
        self._counts.forget_those(lambda key: what.everything or key.partition("/")[0] in images)
        self._images.forget_those(what.concerns)
        return 0

    def _count(self, key: str, now: float) -> int:
        return self._counts.get(key, now) or 0

    def _add(self, key: str, now: float, weight: int) -> bool:
        before = self._count(key, now)
        self._counts.add(key, before + weight, now)
        return before < _OUT <= before + weight


class Quarantine:
    """Renders, but refuses for an hour what has crashed or hung a render process three times.

    That is one preview of an image, or all of them if the image itself is to blame
    (`domain/blame.py`). A render hangs if it had `patience` seconds, and they were not enough: what
    had less may have come late to a busy machine. The strikes may be shared with others.
    """

    def __init__(self, strikes: Strikes, patience: float, renderer: Renderer) -> None:
        self._strikes = strikes
        self._patience = patience
        self._renderer = renderer

    async def render(self, source: Preview, request: PreviewRequest) -> Rendered:
        """Render the requested preview of `source`.

        Raises:
            Quarantined: the image or the preview is.
            MicropicError: what the renderer raises.

        """
        transform, now = request.transform, time.monotonic()
        # Only cache entries of older versions lack the hash.
        image = source.source.sha256 or hashlib.sha256(source.body).hexdigest()
        image = blamed(image, transform, drawing=is_drawing(source.body))
        if self._strikes.is_quarantined(image, transform, now):
            self._strikes.note_source(urls.source_key(request.source), image, now)
            msg = "Rendering this image has crashed or hung too often; retry in an hour."
            raise Quarantined(msg)
        try:
            rendered = await self._renderer.render(
                source.body, transform, request.deadline, request.client
            )
        except RenderCrashed as error:
            self._strike(image, request, error)
            raise
        except RenderTimeout as error:
            if error.seconds >= self._patience:
                self._strike(image, request, error)
            raise
        except (TooComplex, TooMuchMemory) as error:
            if error.ended_process:
                now, of_image = time.monotonic(), is_cheap(transform)
                self._count(image, request, now, of_image=of_image, weight=_EXPLAINED)
            raise
        self._strikes.take_away(image, transform, time.monotonic())
        return rendered

    def _strike(
        self, image: str, request: PreviewRequest, error: RenderCrashed | RenderTimeout
    ) -> None:
        transform, now = request.transform, time.monotonic()
        # Decoding is the same for each transform; what comes after it may fail by one alone.
        is_new = error.decoding or not self._strikes.has_struck(image, transform, now)
        of_image = is_new and incriminates_image(error, transform)
        self._count(image, request, now, of_image=of_image)

    def _count(
        self,
        image: str,
        request: PreviewRequest,
        now: float,
        *,
        of_image: bool,
        weight: int = _STRIKE,
    ) -> None:
        source = urls.source_key(request.source)
        self._strikes.note_source(source, image, now)
        if self._strikes.add(image, request.transform, now, of_image=of_image, weight=weight):
            log.warning("quarantined", source=urls.source_of(source), seconds=_SECONDS)


def _preview(image: str, transform: Transform) -> str:
    return f"{image}/{urls.build_transform(transform)}"
