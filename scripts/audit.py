"""Ask OSV whether a locked package has a known vulnerability: `python -m scripts.audit`.

OSV (https://osv.dev) has the advisories of PyPA and of GitHub. All packages go in one request; what
it knows of them is then read one by one. The exit code is 1 if there is something to do, else 0:
also where OSV cannot be asked, which is said, since no build is to depend on it; with --strict that
is 2.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lockfile import Locked, canonical, read

_SERVICE = "https://api.osv.dev"
_TIMEOUT = 30.0
_MOST = 1000
"""Queries in one batch, by the API's description."""
_LOCKS = ("build", "runtime", "image", "faces", "development")
_ACCEPTED: dict[str, str] = {}
"""Advisories that are no danger here: the id, and why."""

Query = dict[str, Any]


class NotToBeAskedError(Exception):
    """OSV is out of reach, or answers what is none of its answers."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability of a package."""

    package: Locked
    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]
    """Versions without it."""

    @property
    def accepted(self) -> str:
        """Why it is no danger here; empty: it is one."""
        return next((_ACCEPTED[name] for name in (self.id, *self.aliases) if name in _ACCEPTED), "")

    def __str__(self) -> str:
        names = ", ".join((self.id, *self.aliases))
        fixed = f"; mended in {', '.join(self.fixed)}" if self.fixed else ""
        return f"{self.package.name} {self.package.version}: {names}: {self.summary}{fixed}"


def advisories(packages: Sequence[Locked], service: str = _SERVICE) -> list[Advisory]:
    """Give all that is known against `packages`.

    Raises:
        NotToBeAskedError: nothing can be said.

    """
    found: list[Advisory] = []
    try:
        for start in range(0, len(packages), _MOST):
            for package, id_ in _matches(packages[start : start + _MOST], service):
                told = _ask(f"{service}/v1/vulns/{id_}")
                if "withdrawn" not in told:
                    found.append(_advisory(package, told))
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{service} answers in a form that is not known here: {error!r}"
        raise NotToBeAskedError(msg) from error
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known, and give the exit code."""
    options = _options(arguments)
    each = {(one.name, one.version): one for path in options.lock for one in read(path)}
    packages = list(each.values())
    try:
        found = advisories(packages, options.service)
    except NotToBeAskedError as error:
        print(f"audit: NOT CHECKED, nothing is known of {len(packages)} packages: {error}")
        return 2 if options.strict else 0
    open_ = [advisory for advisory in found if not advisory.accepted]
    for advisory in found:
        print(f"{advisory}" + (f" (accepted: {advisory.accepted})" if advisory.accepted else ""))
    print(f"audit: {len(packages)} packages, {len(open_)} known vulnerabilities")
    return 1 if open_ else 0


def _matches(packages: Iterable[Locked], service: str) -> list[tuple[Locked, str]]:
    """Give each package with the id of each advisory, page by page."""
    found: list[tuple[Locked, str]] = []
    asked: list[tuple[Locked, Query]] = [(each, _query(each)) for each in packages]
    while asked:
        body = {"queries": [query for _, query in asked]}
        results = _ask(f"{service}/v1/querybatch", body)["results"]
        if len(results) != len(asked):
            msg = f"{service} gave {len(results)} answers to {len(asked)} questions"
            raise NotToBeAskedError(msg)
        more: list[tuple[Locked, Query]] = []
        for (package, query), result in zip(asked, results, strict=True):
            found += [(package, vulnerability["id"]) for vulnerability in result.get("vulns", ())]
            if token := result.get("next_page_token"):
                more.append((package, query | {"page_token": token}))
        asked = more
    return found


def _query(package: Locked) -> Query:
    name = canonical(package.name)
    return {"package": {"ecosystem": "PyPI", "name": name}, "version": package.version}


def _advisory(package: Locked, told: dict[str, Any]) -> Advisory:
    fixed = {
        event["fixed"]
        for affected in told.get("affected", ())
        if canonical(affected["package"]["name"]) == canonical(package.name)
        for kind in affected.get("ranges", ())
        if kind["type"] == "ECOSYSTEM"
        for event in kind["events"]
        if "fixed" in event
    }
    summary = told.get("summary") or told.get("details", "").partition("\n")[0]
    aliases = tuple(told.get("aliases", ()))
    return Advisory(package, told["id"], aliases, summary, tuple(sorted(fixed)))


def _ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 # https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 # https
            told = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        msg = f"{url}: {error!r}"
        raise NotToBeAskedError(msg) from error
    if not isinstance(told, dict):
        msg = f"{url} answers no object"
        raise NotToBeAskedError(msg)
    return told


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.audit", description=__doc__)
    locks = [Path("requirements") / f"{name}.txt" for name in _LOCKS]
    parser.add_argument("lock", nargs="*", type=Path, default=locks, help="lock files")
    parser.add_argument("--service", default=_SERVICE, help="where OSV's API is")
    parser.add_argument("--strict", action="store_true", help="exit with 2 if it cannot be asked")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
