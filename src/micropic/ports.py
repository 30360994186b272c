"""The seams of the program: what its parts ask of each other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from micropic.domain.errors import MicropicError
from micropic.domain.model import (
    Headers,
    Lease,
    Preview,
    PreviewRequest,
    Rendered,
    SourceFacts,
    SourcePicture,
    SourceUrl,
    Transform,
)
from micropic.domain.purge import Purge


class Previewer(Protocol):
    """Answers requests for previews; each implementation adds one concern."""

    async def preview(self, request: PreviewRequest) -> Preview:
        """Answer one request, or raise a `MicropicError`."""
        ...


class Source(Protocol):
    """Where pictures come from."""

    async def fetch(
        self,
        url: SourceUrl,
        headers: Headers,
        deadline: float,
        known: SourceFacts | None = None,
        client: str = "",
    ) -> SourcePicture:
        """Get a picture's bytes before `deadline`, in seconds of the monotonic clock.

        Where it is the one that is `known` still, the answer may be without a body. `client` is
        whose share of the work it takes (`PreviewRequest.client`).

        Raises:
            MicropicError: one of the `Origin...` and `Source...` errors.

        """
        ...


class Renderer(Protocol):
    """Makes previews of pictures."""

    async def render(
        self, body: bytes | bytearray, transform: Transform, deadline: float, client: str = ""
    ) -> Rendered:
        """Render an encoded picture before `deadline`, in seconds of the monotonic clock.

        The work is taken from the share of the `client`.

        Raises:
            MicropicError: NotAnImage, BrokenImage or one of the `Too...` and `Render...` errors.

        """
        ...


class Purgeable(Protocol):
    """Forgets what it is told to."""

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns, and tell how many entries that were.

        Raises:
            MicropicError: it may not be forgotten everywhere.

        """
        ...


class Cache(Purgeable, Protocol):
    """Keeps previews, and sources as previews of themselves, within bounds.

    A fault of the cache's is its own affair: it is logged, a `get` misses and a `put` keeps
    nothing.
    """

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_CACHE`; or None."""
        ...

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        ...


class LeasingCache(Cache, Protocol):
    """A cache that many processes share, and that lets one of them make what many ask for."""

    async def put(self, key: str, preview: Preview, lease: str = "") -> None:
        """Keep a preview, and give it to those who wait for it.

        One that may not be shared ends the lease it was made under: the next who waits gets one.
        """
        ...

    async def lease(self, key: str, time_left: float) -> Lease | Preview | None:
        """Give a lease, or after `time_left` seconds at the most what came of another one's.

        None stands for neither: whoever asked is to go on without.

        Raises:
            MicropicError: what the holder of the lease failed by.

        """
        ...

    async def fail(self, key: str, lease: str, error: MicropicError | None) -> None:
        """Tell those who wait what went wrong; None: nothing did, let the next one have a lease."""
        ...

    def release(self, lease: str) -> None:
        """Let the next one have a lease that was given here, unless it has ended."""
        ...


Notes = dict[str, str | float]
"""What is said of a span, by name."""


class Tracer(Protocol):
    """Writes down what took how long, and what was done on behalf of what, across processes."""

    def span(self, name: str, carrier: Mapping[str, str]) -> AbstractContextManager[Notes]:
        """Write down what is done within, with the notes that are put in there.

        It belongs to the span that `carrier` is of, from whichever process; empty: to the one
        around it.
        """
        ...

    def carrier(self) -> dict[str, str]:
        """Give what goes along to another process to name the span around; empty: none."""
        ...
