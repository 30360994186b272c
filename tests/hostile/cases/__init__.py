"""The table: what bad origins do, and what their clients are told."""

from __future__ import annotations

from tests.hostile.cases import answers, codecs, pictures, ways, wire
from tests.hostile.cases.base import PAYLOAD, PHOTO, Case

GROUPS = {
    "on the wire": wire.CASES,
    "its answers": answers.CASES,
    "where it leads": ways.CASES,
    "its pictures": pictures.CASES,
    "one kind's own": codecs.CASES,
}

__all__ = ["GROUPS", "PAYLOAD", "PHOTO", "Case"]
