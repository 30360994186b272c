"""Pictures that are bundled with the package, for a first try without a network."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from micropic.domain.errors import OriginRefused
from micropic.domain.model import Headers, SourceFacts, SourcePicture, SourceUrl

_FOLDER = files("micropic") / "samples"


@cache
def sample_names() -> tuple[str, ...]:
    """Give the names of the bundled pictures."""
    return tuple(sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(".jpg")))


@cache
def _load(name: str) -> SourcePicture:
    body = (_FOLDER / name).read_bytes()
    facts = SourceFacts(sha256=hashlib.sha256(body).hexdigest(), length=len(body))
    return SourcePicture(body, facts)


class SampleSource:
    """Answers `sample:` sources."""

    async def fetch(
        self,
        url: SourceUrl,
        headers: Headers,  # noqa: ARG002 # nothing is asked of anyone
        deadline: float,  # noqa: ARG002
        known: SourceFacts | None = None,  # noqa: ARG002
        client: str = "",  # noqa: ARG002
    ) -> SourcePicture:
        """Give a bundled picture.

        Raises:
            OriginRefused: there is none of that name, as a 404.

        """
        if url.target not in sample_names():
            msg = f"There is no sample {url.target!r}. The samples are {', '.join(sample_names())}."
            raise OriginRefused(msg, 404, {})
        return _load(url.target)
