"""Write the tables of the documents from the code that they describe, or check them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from micropic.domain import urls
from micropic.domain.options import OPTIONS
from micropic.services.metrics import DECLARED
from micropic.settings import knobs

ROOT = Path(__file__).parent.parent


def settings_table() -> str:
    """Give every setting as a row."""
    rows = [
        f"| `{knob.name}` | `{knob.environment}` | {f'`{knob.default}`' if knob.default else ''} "
        f"| {knob.description} | {knob.allowed} |"
        for knob in knobs()
    ]
    return "\n".join(
        ["| setting | environment | default | what | allowed |", "|---" * 5 + "|", *rows]
    )


def grammar() -> str:
    """Give the path grammar as the parser's own module describes it."""
    return (urls.__doc__ or "").strip().partition("\n\n")[2]


def options_table() -> str:
    """Give every option of an address as a row."""
    rows = [
        f"| `{key}` | {option.meaning}: {option.expected} | {option.default} |"
        for key, option in OPTIONS.items()
    ]
    return "\n".join(["| option | what | default |", "|---|---|---|", *rows])


def metrics_table() -> str:
    """Give every metric as a row."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{name}`' for name in metric.labels)} "
        f"| {metric.text} |"
        for metric in DECLARED
    ]
    return "\n".join(["| metric | kind | labels | what |", "|---" * 4 + "|", *rows])


TABLES = {
    "README.md": {"settings": settings_table, "grammar": grammar, "options": options_table},
    "docs/operating.md": {"metrics": metrics_table},
}


def main() -> int:
    """Replace what stands between a table's markers; with --check, only compare."""
    return max(_renew(ROOT / name, tables) for name, tables in TABLES.items())


def _renew(document: Path, tables: Mapping[str, Callable[[], str]]) -> int:
    text = fresh = document.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = fresh.partition(begin)
        fresh = f"{before}{begin}\n{table()}\n{end}{rest.partition(end)[2]}"
    if fresh == text:
        return 0
    if "--check" in sys.argv:
        print(f"{document.name} is not what the code says: run `make docs`")
        return 1
    document.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
