"""Read lock files as `make lock` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PINNED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^ ;]+)(?: ; (.+?))? \\")
_HASH = re.compile(r" +--hash=(\w+):([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package."""

    name: str
    version: str
    marker: str
    """Where it is needed (PEP 508); empty: everywhere."""
    hashes: tuple[tuple[str, str], ...]
    """Algorithm and digest of each file that may be installed: sdist, and wheels by platform."""

    @property
    def purl(self) -> str:
        """Its package URL (purl-spec, type pypi)."""
        return f"pkg:pypi/{canonical(self.name)}@{self.version}"


def canonical(name: str) -> str:
    """Give the form in which equal names are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path) -> list[Locked]:
    """Give all packages of a lock file.

    Raises:
        ValueError: a line is not understood, or a package has no hash.

    """
    locked = [_locked(*block) for block in _blocks(path)]
    if not locked:
        msg = f"{path} locks nothing"
        raise ValueError(msg)
    return locked


def _blocks(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Give each first line with the lines that belong to it."""
    block: list[str] = []
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#") or not line:
            continue
        if not line.startswith(" ") and block:
            yield block[0], block[1:]
            block = []
        block.append(line)
    if block:
        yield block[0], block[1:]


def _locked(first: str, rest: list[str]) -> Locked:
    pinned, hashes = _PINNED.fullmatch(first), [_HASH.match(line) for line in rest]
    if pinned is None or not hashes or None in hashes:
        msg = f"not understood in a lock file: {first}"
        raise ValueError(msg)
    found = tuple((match[1], match[2]) for match in hashes if match)
    return Locked(pinned[1], pinned[2], pinned[3] or "", found)
