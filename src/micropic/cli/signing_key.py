"""The key that commands sign addresses with."""

from __future__ import annotations

KEY_HELP = "What signs addresses; of several joined by commas the first."


def first_key(keys: str) -> str:
    """Return the first of several keys joined by commas."""
    return keys.partition(",")[0].strip()
