"""How long what is kept may be answered with, by what its origin said (RFC 9111, RFC 5861).

May it be kept, and for how long is it fresh?

| the origin said | kept | fresh for | section |
|---|---|---|---|
| `no-store` or `private` | no | | 9111, 5.2.2.5, 5.2.2.7 |
| `Vary: *` | no | | 9111, 4.1 |
| `no-cache` | yes | not at all: revalidated each time | 9111, 5.2.2.4 |
| `s-maxage=N` | yes | N less `Age` | 9111, 5.2.2.10 |
| `max-age=N` | yes | N less `Age` | 9111, 5.2.2.1 |
| `Expires` | yes | from `Date` until then, less `Age` | 9111, 5.3 |
| nothing | yes | the most that is allowed, a day by default | 9111, 4.2.2 |

All within `cache.min_age` and `cache.max_age`.

What may be done with it once it is stale?

| the origin said | while it is revalidated | if the origin fails | section |
|---|---|---|---|
| `no-cache` or `must-revalidate` | not used | not used | 9111, 5.2.2.2, 5.2.2.4 |
| `proxy-revalidate` | not used | not used | 9111, 5.2.2.8 |
| `stale-while-revalidate=N` | for N | | 5861, 3 |
| `stale-if-error=N` | | for N | 5861, 4 |
| `s-maxage` and neither of these | not used | not used | 9111, 5.2.2.10 |
| nothing of all this | `cache.stale_while_revalidate` | `cache.stale_if_error` | 9111, 4.2.4 |

All times are in seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from micropic.domain.model import Headers, Preview, SourceFacts

DAY = 86_400.0

_FIXED_BY_US = {"accept", "accept-encoding"}
"""Request headers that are the same for every client, so that Vary by them says nothing."""
_NOT_KEPT = {"no-store", "private"}
_NEVER_STALE = {"no-cache", "must-revalidate", "proxy-revalidate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator makes of what origins say; in seconds."""

    min_age: float = 0.0
    max_age: float = DAY
    stale_while_revalidate: float = 60.0
    stale_if_error: float = DAY


DEFAULT = Policy()


class Windows(NamedTuple):
    """For how many seconds from when it is stale something may still be used."""

    while_revalidating: float
    if_error: float


def is_storable(facts: SourceFacts) -> bool:
    """Tell whether a cache that many clients share may keep it (RFC 9111, section 3)."""
    directives = parse_cache_control(facts.cache_control)
    return not directives.keys() & _NOT_KEPT and "*" not in _listed(facts.vary)


def lifetime(facts: SourceFacts, policy: Policy = DEFAULT) -> float:
    """Give for how many seconds it is fresh from when it was fetched."""
    directives = parse_cache_control(facts.cache_control)
    if "no-cache" in directives or not is_storable(facts):
        return 0.0
    said = _explicit_lifetime(facts, directives)
    if said is None:
        return policy.max_age
    return max(0.0, policy.min_age, min(policy.max_age, said))


def _explicit_lifetime(facts: SourceFacts, directives: dict[str, str]) -> float | None:
    age = _seconds(facts.age) or 0.0
    for name in ("s-maxage", "max-age"):
        if name in directives:
            # RFC 9111, 4.2.1: what cannot be read is best taken as stale.
            return (_seconds(directives[name]) or 0.0) - age
    if facts.expires is None:
        return None
    expires, date = _timestamp(facts.expires), _timestamp(facts.date)
    # RFC 9111, 5.3: an invalid date, such as "0", is one in the past.
    return 0.0 if expires is None or date is None else expires - date - age


def windows(facts: SourceFacts, policy: Policy = DEFAULT) -> Windows:
    """Give for how long it may be used once it is stale."""
    directives = parse_cache_control(facts.cache_control)
    if directives.keys() & _NEVER_STALE:
        return Windows(0.0, 0.0)
    implied = "s-maxage" in directives
    return Windows(
        _window(directives, "stale-while-revalidate", policy.stale_while_revalidate, implied),
        _window(directives, "stale-if-error", policy.stale_if_error, implied),
    )


def _window(directives: dict[str, str], name: str, default: float, implied: bool) -> float:  # noqa: FBT001 # one call
    if name in directives:
        return _seconds(directives[name]) or 0.0
    return 0.0 if implied else default


def remaining(preview: Preview, now: float) -> float:
    """Give for how many seconds `preview` is fresh still; 0 or less: it is stale.

    A preview that comes from the future (the clock was set back) counts as stale.
    """
    age = now - preview.stored_at
    return preview.lifetime - age if age >= 0 else 0.0


def variant(vary: str | None, headers: Headers) -> str:
    """Give what an answer was chosen by, as a short hash; empty: it is the same for everybody.

    `headers` are those that the origin saw of the client's (RFC 9111, section 4.1).
    """
    names = varies_by(vary)
    if not names:
        return ""
    sent: dict[str, list[str]] = {name: [] for name in names}
    for name, value in headers:
        if name in sent:
            sent[name].append(value)
    chosen = [sent[name] for name in names]
    return hashlib.sha256(repr((names, chosen)).encode()).hexdigest()[:16]


def suits(preview: Preview, headers: Headers) -> bool:
    """Tell whether what was made for one client is right for one that sends `headers`."""
    return not preview.variant or preview.variant == variant(preview.source.vary, headers)


def varies_by(vary: str | None) -> list[str]:
    """Give the names of the client's header fields that the origin chose its answer by, sorted."""
    return sorted(_listed(vary) - _FIXED_BY_US)


def parse_cache_control(value: str | None) -> dict[str, str]:
    """Give the directives with their arguments, names in lower case; the first one counts."""
    directives: dict[str, str] = {}
    for part in (value or "").split(","):
        name, _, argument = part.strip().partition("=")
        if name:
            directives.setdefault(name.strip().lower(), argument.strip().strip('"'))
    return directives


def merged(known: SourceFacts, said: SourceFacts) -> SourceFacts:
    """Bring what is known up to date by what a 304 said (RFC 9111, section 4.3.4)."""
    fields = ("etag", "last_modified", "cache_control", "expires", "vary")
    kept = {name: _latest(name, known, said) for name in fields}
    return SourceFacts(
        **kept, date=said.date, age=said.age, sha256=known.sha256, length=known.length
    )


def _latest(name: str, *facts: SourceFacts) -> str | None:
    values: Iterable[str | None] = (getattr(known, name) for known in reversed(facts))
    return next((value for value in values if value is not None), None)


def _listed(vary: str | None) -> set[str]:
    return {name.strip().lower() for name in (vary or "").split(",")} - {""}


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
