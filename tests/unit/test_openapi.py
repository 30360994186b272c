"""The description is made from what it describes, and follows the settings."""

from __future__ import annotations

from typing import Any

import pytest

from micropic.domain import options
from micropic.domain.errors import BY_CODE
from micropic.domain.model import Size
from micropic.domain.options import OPTIONS, Defaults
from micropic.domain.urls import DEFAULT, Grammar
from micropic.web import problems
from micropic.web.openapi import Described, describe

PLAIN = Described(version="1", grammar=DEFAULT, pages={})
WITH_OPTIONS = "/{mode}/{width}/{height}/{options}/{source}"


def parameter(described: Described, name: str) -> Any:
    found = describe(described)["paths"][WITH_OPTIONS]["parameters"]
    return next(each["schema"] for each in found if each["name"] == name)


def test_every_option_and_every_error_is_described() -> None:
    assert parameter(PLAIN, "options")["properties"].keys() == OPTIONS.keys()
    meanings = problems.meanings()
    codes = [code for codes in meanings.values() for code in codes]
    assert {*codes, "origin_refused"} == {*BY_CODE, "not_found", "method_not_allowed"}
    responses = describe(PLAIN)["paths"][WITH_OPTIONS]["get"]["responses"]
    for status, said in meanings.items():
        assert all(code in responses[str(status)]["description"] for code in said)


@pytest.mark.parametrize("name", [*OPTIONS])
def test_the_bounds_of_an_option_are_those_that_are_kept(name: str) -> None:
    schema = OPTIONS[name].read.schema
    good = schema.get("enum") or [schema[end] for end in ("minimum", "maximum") if end in schema]
    for value in good:
        assert name in options.read(f"{name}={value}".encode())
    assert good or schema["pattern"]


def test_the_settings_show() -> None:
    faceless = Defaults(max_side=100, faces=False, explain=False)
    described = Described(
        version="1", grammar=Grammar(defaults=faceless), prefix="/img", pages={"/": "text/html"}
    )
    assert parameter(described, "width")["maximum"] == 100
    properties = parameter(described, "options")["properties"]
    assert "explain" not in properties
    assert properties["g"]["not"] == {"const": "face"}
    assert describe(described)["servers"] == [{"url": "/img"}]
    assert "/" in describe(described)["paths"]
    assert "/" not in describe(PLAIN)["paths"]
    assert "/purge" not in describe(PLAIN)["paths"]


def test_signatures_and_sizes_show() -> None:
    grammar = Grammar(sizes=frozenset({Size(30, 20), Size(10, 40)}))
    described = Described(version="1", grammar=grammar, pages={}, signed=True, purging=True)
    paths = describe(described)["paths"]
    form = paths["/{signature}" + WITH_OPTIONS]
    bounds = {each["name"]: each["schema"].get("maximum") for each in form["parameters"]}
    assert (bounds["width"], bounds["height"]) == (30, 40)
    assert "delete" in form
    assert "/purge" in paths
