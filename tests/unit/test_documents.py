"""What README, ARCHITECTURE, SECURITY and docs/ say of micropic is so.

That the tables in them are those of the code is checked by `make lint`.
"""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from micropic.cli import app
from micropic.domain.errors import BY_CODE
from micropic.domain.urls import DEFAULT, parse_path
from micropic.settings import Settings, knobs, load
from scripts.readme_tables import commands_of
from scripts.site_pages import DOCS, FROM_ROOT, ROOT, documents

DOCUMENTS = [ROOT / "README.md", *documents()]
SECTIONS = "|".join(sorted({knob.section for knob in knobs()}))
COMMANDS: dict[str, Any] = dict(commands_of(typer.main.get_command(app)))
MAKEFILE = (ROOT / "Makefile").read_text()

_LINKS = re.compile(r"""\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)\"""")
_CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_PATHS = re.compile(r"(?<![\w.])/(?:fill|fit)/[^\s`'\"<>]+")
_OPEN_END = re.compile(r"[{…*]|\.\.\.")
_VARIABLES = re.compile(rf"\b(?:{SECTIONS.upper()})_[A-Z_]+\b")
_NAMES = re.compile(rf"(?<![\w/.-])(?:{SECTIONS})\.[a-z_]+\b(?![./(])")
_FLAGS = re.compile(rf"(?<![\w-])--(?:{SECTIONS})-[a-z-]+")
_FILES = {"py", "md", "yaml"}
_RUN = re.compile(
    r"^[ `]*(?:[A-Z_]+=(?:'[^']*'|\S+) +)*(?:\S*/)?micropic ([a-z]+)((?: [^`#|\n]*)?)", re.MULTILINE
)
_MAKE = re.compile(r"^[ `]*(?:[A-Z_]+=\S+ +)*make ([a-z-]+)", re.MULTILINE)
_BENCHMARKS = re.compile(r"python -m (benchmarks(?:\.[a-z_]+)?)")


def anchors(document: Path) -> set[str]:
    """Give those of the headings, as GitHub and the site write them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def everywhere(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Give what is found, each with the document that has it."""
    for document in DOCUMENTS:
        for match in pattern.finditer(document.read_text()):
            yield match[0], document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for pair in _LINKS.findall(_CODE.sub("", document.read_text())):
        target, _, anchor = "".join(pair).partition("#")
        if re.match(r"[a-z]+:|/", target):
            continue
        path = document.parent / unquote(target) if target else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_every_example_of_an_address_is_understood() -> None:
    examples = [(found, where) for found, where in everywhere(_PATHS)]
    whole = [example for example in examples if not _OPEN_END.search(example[0])]
    assert len(whole) > 50
    for found, where in whole:
        path, _, query = found.rstrip(".,;:)").partition("?")
        assert parse_path(path.encode(), query.encode(), DEFAULT).source, (found, where)


def test_every_setting_that_is_named_exists() -> None:
    environment = {knob.environment for knob in knobs()}
    names = {knob.name for knob in knobs()}
    flags = {knob.flag for knob in knobs()}
    for found, where in everywhere(_VARIABLES):
        assert found in environment, (found, where)
    for found, where in everywhere(_NAMES):
        assert found in names or found.partition(".")[2] in _FILES, (found, where)
    for found, where in everywhere(_FLAGS):
        assert found in flags, (found, where)


def test_the_example_of_a_settings_file_can_be_read(tmp_path: Path) -> None:
    example = re.search(
        r"^```yaml\n(.*?)^```", (DOCS / "settings.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert example
    (tmp_path / "micropic.yaml").write_text(example[1])
    loaded, notes = load(tmp_path / "micropic.yaml", {}, {})
    assert loaded != Settings()
    assert notes == []


def test_advice_is_given_on_every_error() -> None:
    _, _, advice = (DOCS / "errors.md").read_text().partition("## What to do")
    cells = re.findall(r"^\| (`.*?) \|", advice, re.MULTILINE)
    codes = {code for cell in cells for code in re.findall(r"`(\w+)`", cell)}
    assert codes == BY_CODE.keys()


def test_every_command_that_is_named_exists_with_its_flags() -> None:
    seen = set()
    for document in DOCUMENTS:
        for piece in _CODE.findall(document.read_text()):
            for name, rest in _RUN.findall(piece):
                longer = f"micropic {name} {rest.split()[0]}" if rest.split() else ""
                command = COMMANDS.get(longer) or COMMANDS.get(f"micropic {name}")
                assert command, (piece, document.name)
                known = {flag for parameter in command.params for flag in parameter.opts}
                given = set(re.findall(r"(?<= )-{1,2}[a-z][a-z-]*", rest)) - {"--help"}
                assert given <= known, (piece, document.name)
                seen.add(name)
    assert {f"micropic {name}" for name in seen} <= {*COMMANDS, "micropic cache"}
    assert len(seen) > 8


def test_every_make_target_and_every_benchmark_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for document in DOCUMENTS:
        for piece in _CODE.findall(document.read_text()):
            assert set(_MAKE.findall(piece)) <= targets, (piece, document.name)
            for module in _BENCHMARKS.findall(piece):
                assert importlib.util.find_spec(module), (piece, document.name)


def test_every_page_stands_once_in_the_navigation() -> None:
    def pages(entries: list[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else pages(value)

    navigation = tomllib.loads((DOCS / "zensical.toml").read_text())["project"]["nav"]
    expected = [path.name.lower() if path.name in FROM_ROOT else path.name for path in documents()]
    assert sorted(pages(navigation)) == sorted(expected)
