"""Lay out the pages of the site: those of docs/, and documents of the root.

On the site a link leads to the page that is made of the document it names, and shows that page's
title in the place of a file's name. Paths in running text, such as docs/jpeg.md, become links.
Nothing else is changed.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_ICON = ROOT / "src" / "micropic" / "web" / "static" / "icon.svg"
FROM_ROOT = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages of the site, too, by their names in lower case."""

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)")
_FILE = re.compile(r"(?:docs/)?[\w-]+\.md")
_NAMED = re.compile(r"(?<![\w/.`\[])(?<!\]\()docs/([a-z-]+\.md)\b")


def lay_out(destination: Path) -> None:
    """Write pages, pictures and the configuration, as Zensical takes them.

    Raises:
        ValueError: a link leads to what is no part of the site.

    """
    shutil.rmtree(destination, ignore_errors=True)
    pages = destination / "pages"
    pages.mkdir(parents=True)
    for document in documents():
        (pages / _page_of(document)).write_text(_page(document))
    for pattern in ("*.css", "*.jpg", "*.png"):
        for file in DOCS.glob(pattern):
            shutil.copy(file, pages)
    shutil.copy(_ICON, pages)
    shutil.copy(DOCS / "zensical.toml", destination)


def documents() -> list[Path]:
    """Give what the pages are made of."""
    return [*sorted(DOCS.glob("*.md")), *(ROOT / name for name in FROM_ROOT)]


def _page(document: Path) -> str:
    """Give a document as it stands on the site; what is code in it stays as it is."""
    lines: list[str] = []
    fenced = False
    for line in document.read_text().splitlines(keepends=True):
        fenced ^= line.startswith("```")
        verbatim = fenced or line.startswith("    ")
        lines.append(line if verbatim else _with_links(line, document))
    return "".join(lines)


def _with_links(line: str, document: Path) -> str:
    def link(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(document.parent / match[2]))
        text = _title(target) if _FILE.fullmatch(match[1]) else match[1]
        return f"[{text}]({_page_of(target)}"

    named = _NAMED.sub(rf"[\1]({os.path.relpath(DOCS, document.parent)}/\1)", line)
    return _LINK.sub(link, named)


def _title(document: Path) -> str:
    return document.read_text().partition("\n")[0].removeprefix("# ")


def _page_of(path: Path) -> str:
    """Give the name that a document or a picture has on the site."""
    if path == ROOT / "README.md":
        return "index.md"  # the site's own beginning
    if path.parent != DOCS and path not in documents():
        msg = f"{path} is linked to, but no part of the site"
        raise ValueError(msg)
    return path.name if path.parent == DOCS else path.name.lower()


if __name__ == "__main__":
    lay_out(ROOT / "build" / "docs")
