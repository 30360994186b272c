"""Write the tables of the documents from the code that they describe, or check them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperGroup

from micropic.cli import app
from micropic.domain import errors, freshness, headers, urls
from micropic.domain.options import OPTIONS
from micropic.domain.source_rules import SourceRules
from micropic.services.metrics import DECLARED
from micropic.settings import Settings, knobs
from micropic.web import conditions, problems

ROOT = Path(__file__).parent.parent


def table(*rows: Iterable[str]) -> str:
    """Give rows, the head first, as Markdown."""
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * (head.count(" | ") + 1) + "|", *others])


def code(text: str) -> str:
    """Give a value as code; nothing for none."""
    return f"`{text}`" if text else ""


def settings() -> str:
    """Give every setting as a row, a table for each section."""
    parts: list[str] = []
    for section, members in groupby(knobs(), key=lambda knob: knob.section):
        rows = [
            (f"{code(knob.name)}<br>{code(knob.environment)}", code(knob.default),
             knob.description, knob.allowed)
            for knob in members
        ]  # fmt: skip
        about = (type(Settings.model_fields[section].default).__doc__ or "").rstrip(".")
        parts.append(f"## `{section}`: {about[0].lower()}{about[1:]}")
        parts.append(table(("setting", "default", "what", "allowed"), *rows))
    return "\n\n".join(parts)


def described(module: ModuleType) -> Callable[[], str]:
    """Give what a module says of itself after its first paragraph."""
    return lambda: (module.__doc__ or "").strip().partition("\n\n")[2]


def options() -> str:
    """Give every option of an address as a row."""
    rows = [
        (code(key), f"{option.meaning}: {option.expected}", option.default)
        for key, option in OPTIONS.items()
    ]
    return table(("option", "what", "default"), *rows)


def metrics() -> str:
    """Give every metric as a row."""
    rows = [
        (code(metric.name), metric.kind, ", ".join(map(code, metric.labels)), metric.text)
        for metric in DECLARED
    ]
    return table(("metric", "kind", "labels", "what"), *rows)


def field_lists() -> str:
    """Give the built-in lists of header fields, one paragraph for each."""
    lists = {
        "Plain": headers.PLAIN,
        "Hop": headers.HOPS,
        "Identity": (*sorted(headers.CREDENTIALS), *headers.IDENTITY),
    }
    return "\n\n".join(
        f"**{kind}**: {', '.join(map(code, names))}." for kind, names in lists.items()
    )


def error_codes() -> str:
    """Give every code of a problem as a row, by its status."""
    found = [
        (problems.not_found("/", ""), "There is no such page."),
        (problems.method_not_allowed("PUT", "GET", ""), "The method is not one of the path's."),
        (problems.defect(""), "A defect of micropic's own; the log has its trace, by request id."),
    ]
    for name, error in errors.BY_CODE.items():
        if error is not errors.MicropicError:
            members = {"code": name, "detail": "", "status": 0, "headers": {}}
            answer = problems.from_error(errors.from_wire(members), "")
            found.append((answer, (error.__doc__ or "").partition("\n")[0]))
    rows = sorted((answer.status, json.loads(answer.body)["code"], what) for answer, what in found)
    return table(
        ("status", "`code`", "what happened"),
        *((str(status or "the origin's 4xx"), code(name), what) for status, name, what in rows),
    )


def problem() -> str:
    """Give the body of an answer as docs/errors.md asks for it."""
    rules = SourceRules(allow_hosts=["*.example.com"])
    try:
        rules.check(urls.parse_source(b"www.example.org/owl.jpg"))
    except errors.SourceForbidden as error:
        body = json.loads(problems.from_error(error, "5f0c1a4e9b7d4c30").body)
        return f"```json\n{json.dumps(body, indent=2)}\n```"
    msg = "The example of docs/errors.md is allowed."
    raise RuntimeError(msg)


def commands() -> str:
    """Give every command as a row, then its own arguments and flags: settings are all the same."""
    rows: list[tuple[str, str]] = []
    parts: list[str] = []
    of_settings = {"--config", *(knob.flag for knob in knobs())}
    for name, command in commands_of(typer.main.get_command(app)):
        rows.append((code(name), (command.help or "").strip()))
        own = [
            (code(_spelt(argument)), argument.help or "", code(str(argument.default or "")))
            for argument in command.params
            if not of_settings & set(argument.opts)
        ]
        if own:
            parts += [f"## `{name}`", table(("argument", "what", "default"), *own)]
    return "\n\n".join([table(("command", "what"), *rows), *parts])


def _spelt(argument: Any) -> str:
    flags = ", ".join(argument.opts)
    return flags if flags.startswith("-") else flags.upper()


def commands_of(command: Any, name: str = "micropic") -> Iterator[tuple[str, Any]]:
    """Yield each command that can be run with its full name, such as `micropic cache stats`."""
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    if command.invoke_without_command:
        yield name, command
    context = typer.Context(command)
    for key in command.list_commands(context):
        yield from commands_of(command.get_command(context, key), f"{name} {key}")


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"grammar": described(urls), "options": options},
    "docs/addresses.md": {"grammar": described(urls), "options": options},
    "docs/commands.md": {"commands": commands},
    "docs/errors.md": {
        "errors": error_codes,
        "problem": problem,
        "caching": described(problems),
    },
    "docs/http.md": {
        "fields": described(headers),
        "field lists": field_lists,
        "freshness": described(freshness),
        "conditions": described(conditions),
    },
    "docs/operating.md": {"metrics": metrics},
    "docs/settings.md": {"settings": settings},
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
