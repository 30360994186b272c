"""Lists of sources: from a file, standard input, a sitemap or a directory listing."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import aiohttp

_PICTURE = re.compile(
    r"\.(?:jpe?g|png|webp|gif|avif|tiff?|bmp|ico|svg)(?:[?#].*)?\Z", re.IGNORECASE | re.DOTALL
)
_MOST_SITEMAPS = 1000
_WEB = ("http://", "https://")


class SourceListError(Exception):
    """A list cannot be read; the message says which and why."""


async def read_sources(where: str) -> list[str]:
    """Give the sources that `where` lists, in its order, each once.

    `-` is standard input and a path a file, with a source a line and `#` before comments. A URL
    is a sitemap, an index of sitemaps, or a page with links, such as the listing of a directory.

    Raises:
        SourceListError: it cannot be read, or lists nothing.

    """
    if where.lower().startswith(_WEB):
        sources = await _from_web(where)
    else:
        sources = _from_lines(where)
    if not sources:
        msg = f"{where} lists no pictures"
        raise SourceListError(msg)
    return list(dict.fromkeys(sources))


def _from_lines(where: str) -> list[str]:
    try:
        text = sys.stdin.read() if where == "-" else Path(where).read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{where} cannot be read: {error}"
        raise SourceListError(msg) from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


async def _from_web(url: str) -> list[str]:
    sources: list[str] = []
    waiting, seen = [url], {url}
    async with aiohttp.ClientSession() as session:
        while waiting:
            page = waiting.pop(0)
            links = Links(page)
            links.feed(await _get(session, page))
            sources += links.pictures
            fresh = [sitemap for sitemap in links.sitemaps if sitemap not in seen]
            seen.update(fresh)
            waiting += fresh
            if len(seen) > _MOST_SITEMAPS:
                msg = f"{url} leads to more than {_MOST_SITEMAPS} sitemaps"
                raise SourceListError(msg)
    return sources


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url, raise_for_status=True) as response:
            return await response.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        msg = f"{url} cannot be read: {error}"
        raise SourceListError(msg) from error


class Links(HTMLParser):
    """Finds the pictures in a page, and in a sitemap with its images (sitemaps.org, 0.9).

    One lenient reader for HTML and XML: it resolves no entity that a file defines.
    """

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._enclosing: list[str] = []
        self.pictures: list[str] = []
        self.sitemaps: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where we are, and what the tag links to."""
        self._enclosing.append(tag)
        for name, value in attrs:
            if name in {"href", "src"} and value and _PICTURE.search(value):
                self.pictures.append(urljoin(self._base, value.strip()))

    def handle_endtag(self, tag: str) -> None:
        """Note that we have left."""
        while self._enclosing and self._enclosing.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Take the text of a location."""
        tag, text = (self._enclosing or [""])[-1], data.strip()
        if not text:
            return
        if tag == "image:loc" or (tag == "loc" and _PICTURE.search(text)):
            self.pictures.append(urljoin(self._base, text))
        elif tag == "loc" and "sitemap" in self._enclosing[-2:]:
            self.sitemaps.append(urljoin(self._base, text))
