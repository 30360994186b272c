"""How long a preview may be answered from a cache, by what its origin said (RFC 9111).

| the origin said | stored | fresh for | section |
|---|---|---|---|
| `no-store`, `private` or `no-cache` | no | | 5.2.2.5, 5.2.2.7, 5.2.2.4 |
| `Vary` by a header that clients choose, or `*` | no | | 4.1 |
| `s-maxage=N` | yes | N less `Age`, a day at most | 5.2.2.10 |
| `max-age=N` | yes | N less `Age`, a day at most | 5.2.2.1 |
| `Expires` | yes | from `Date` until then, less `Age`, a day at most | 5.3 |
| nothing | yes | a day | 4.2.2 |

What would be stale at once is not stored: a stale preview cannot be revalidated here.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from micropic.domain.model import Preview, SourceFacts

DAY = 86_400.0
"""The longest that anything is fresh, in seconds."""

_FIXED_BY_US = {"accept", "accept-encoding"}
"""Request headers that are the same for every client, so that Vary by them says nothing."""


def lifetime(facts: SourceFacts) -> float:
    """Give for how many seconds a preview is fresh from when it was made; 0: do not store it."""
    directives = parse_cache_control(facts.cache_control)
    if directives.keys() & {"no-store", "private", "no-cache"} or _varies(facts.vary):
        return 0.0
    age = _seconds(facts.age) or 0.0
    for name in ("s-maxage", "max-age"):
        if name in directives:
            # RFC 9111, 4.2.1: what cannot be read is best taken as stale.
            return _within_a_day((_seconds(directives[name]) or 0.0) - age)
    if facts.expires is not None:
        expires, date = _timestamp(facts.expires), _timestamp(facts.date)
        # RFC 9111, 5.3: an invalid date, such as "0", is one in the past.
        return 0.0 if expires is None or date is None else _within_a_day(expires - date - age)
    return DAY


def remaining(preview: Preview, now: float) -> float:
    """Give for how many seconds `preview` is fresh still; 0 or less: it is stale.

    A preview that comes from the future (the clock was set back) counts as stale.
    """
    age = now - preview.stored_at
    return preview.lifetime - age if age >= 0 else 0.0


def parse_cache_control(value: str | None) -> dict[str, str]:
    """Give the directives with their arguments, names in lower case; the first one counts."""
    directives: dict[str, str] = {}
    for part in (value or "").split(","):
        name, _, argument = part.strip().partition("=")
        if name:
            directives.setdefault(name.strip().lower(), argument.strip().strip('"'))
    return directives


def _varies(vary: str | None) -> bool:
    names = {name.strip().lower() for name in (vary or "").split(",")} - {""}
    return bool(names - _FIXED_BY_US)


def _within_a_day(seconds: float) -> float:
    return max(0.0, min(DAY, seconds))


def _seconds(value: str | None) -> float | None:
    # RFC 9111, 1.2.2: what is too great for the recipient counts as 2^31.
    return min(2.0**31, float(value)) if value and value.isascii() and value.isdigit() else None


def _timestamp(value: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(value or "")
        # RFC 9110, 5.6.7: every form of a date is in UTC, whether it says so or not.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
