"""Write the README's tables from the code that they describe, or check that they are true."""

from __future__ import annotations

import sys
from pathlib import Path

from micropic.domain import urls
from micropic.domain.options import OPTIONS
from micropic.settings import knobs

README = Path(__file__).parent.parent / "README.md"


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


def main() -> int:
    """Replace what stands between a table's markers; with --check, only compare."""
    text = README.read_text()
    fresh = text
    for name, content in {
        "settings": settings_table(),
        "grammar": grammar(),
        "options": options_table(),
    }.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = fresh.partition(begin)
        fresh = f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"
    if fresh == text:
        return 0
    if "--check" in sys.argv:
        print("README.md is not what the code says: run `make docs`")
        return 1
    README.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
