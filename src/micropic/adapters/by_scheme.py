"""One source for each scheme."""

from __future__ import annotations

from collections.abc import Mapping

from micropic.domain.model import Headers, Scheme, SourceFacts, SourcePicture, SourceUrl
from micropic.ports import Source


class SourceByScheme:
    """Asks the source that knows the address's scheme."""

    def __init__(self, sources: Mapping[Scheme, Source]) -> None:
        self._sources = sources

    async def fetch(
        self,
        url: SourceUrl,
        headers: Headers,
        deadline: float,
        known: SourceFacts | None = None,
        client: str = "",
    ) -> SourcePicture:
        """Fetch from the scheme's own source."""
        return await self._sources[url.scheme].fetch(url, headers, deadline, known, client)
