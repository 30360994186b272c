"""Which formats a client takes, by its Accept field (RFC 9110, sections 12.4.2 and 12.5.1)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from functools import lru_cache

from micropic.domain.model import Format

_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", re.IGNORECASE)
_BEST_FIRST = (Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)
_TAKEN_BY_ALL = {Format.JPEG, Format.PNG}
EVERY_KIND = tuple(
    ", ".join(
        f"{wanted.media_type};q={weight}" for wanted, weight in zip(_BEST_FIRST, each, strict=True)
    )
    for each in itertools.product((0, 0.1, 0.2), (0, 0.1, 0.2), (0, 0.3), (0, 0.3))
)
"""Accept fields by which `best` and `takes` make every choice that they can make."""


@lru_cache(maxsize=64)  # a request is weighed up to six times
def weights(accept: str) -> Mapping[str, float]:
    """Give the weight of each media range, in lower case; one that cannot be read is 0."""
    found: dict[str, float] = {}
    for element in accept.split(","):
        media_range, *parameters = element.split(";")
        weight = 1.0
        for parameter in parameters:
            if parameter.strip().lower().startswith("q"):
                match = _WEIGHT.fullmatch(parameter)
                weight = float(match[1]) if match else 0.0
        if media_range.strip():
            found[media_range.strip().lower()] = weight
    return found


def takes(accept: str, wanted: Format) -> bool:
    """Tell whether the client takes a format.

    Only its name counts for formats that are not of old: `*/*` is what browsers send that
    cannot show WebP or AVIF.
    """
    return wanted in _TAKEN_BY_ALL or weights(accept).get(wanted.media_type, 0.0) > 0


def best(accept: str, among: frozenset[Format]) -> Format:
    """Choose the format with the greatest weight; among equals the one that packs best.

    One of `among` must be taken by all: it is the answer where the client takes nothing.
    """
    found = weights(accept)

    def weight(wanted: Format) -> float:
        named = found.get(wanted.media_type)
        if named is None and wanted in _TAKEN_BY_ALL:
            return found.get("image/*", found.get("*/*", 0.0 if found else 1.0))
        return named or 0.0

    candidates = [wanted for wanted in _BEST_FIRST if wanted in among]
    chosen = max(candidates, key=weight)  # the first of equals
    if weight(chosen) > 0:
        return chosen
    return next(wanted for wanted in candidates if wanted in _TAKEN_BY_ALL)
