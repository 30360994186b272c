"""The examples of docs/client.md, run as they stand there, against the service itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django.template
import flask
import jinja2
import pytest

from micropic import client
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service

KEY = "one of the service's keys"
DOCUMENT = Path(__file__).parents[2] / "docs" / "client.md"
_PIECES = re.compile(r"^```(\w+)\n(.*?)^```|^#+ (.*?)$", re.DOTALL | re.MULTILINE)
Names = dict[str, Any]
Render = Callable[[Names, str, Names], str]


def example(section: str, language: str) -> str:
    """Give the one example in this language under this heading."""
    heading, found = "", []
    for name, code, title in _PIECES.findall(DOCUMENT.read_text()):
        heading = title or heading
        if (heading, name) == (section, language):
            found.append(code)
    (only,) = found
    return str(only)


def run(section: str, names: Names) -> Names:
    """Run an example; give all names after it."""
    names["__name__"] = "__main__"  # Flask looks for its folder by it
    exec(compile(example(section, "python"), DOCUMENT, "exec"), names)
    return names


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), PROXY_KEYS=KEY)
    try:
        yield service.start()
    finally:
        service.close()


class Addresses(HTMLParser):
    """Collects what a browser would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"}:
                self.found.append(value or "")
            elif name == "srcset":
                self.found += [part.split()[0] for part in (value or "").split(", ")]


def in_jinja(names: Names, page: str, context: Names) -> str:
    environment: jinja2.Environment = names["environment"]
    return environment.from_string(page).render(context)


def in_flask(names: Names, page: str, context: Names) -> str:
    app: flask.Flask = names["app"]
    app.add_url_rule("/", view_func=lambda: flask.render_template_string(page, **context))
    return app.test_client().get("/").text


def in_django(names: Names, page: str, context: Names) -> str:
    engine = django.template.Engine()
    engine.template_libraries["pictures"] = names["register"]
    return str(engine.from_string(page).render(django.template.Context(context)))


def test_what_a_client_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREVIEW_KEY", KEY)
    names = run("Addresses in your pages", {})
    assert names["pictures"] == client.Client("https://img.example.com", KEY)


@pytest.mark.parametrize(
    ("section", "render", "images"),
    [("Jinja", in_jinja, 4), ("Flask", in_flask, 2), ("Django", in_django, 4)],
)
def test_what_a_page_shows_is_answered(
    signing: Service, origin: Origin, section: str, render: Render, images: int
) -> None:
    source = f"http://{origin.on('/an%20owl', Reply(photo()))}?a=1&b=<%2F>,\"'"
    picture = {"address": source, "title": 'An <owl> "x"'}
    base = f"http://127.0.0.1:{signing.port}"
    names = run(section, {"pictures": client.Client(base, KEY)})
    context = {"photo": picture, "photos": [picture]}
    addresses = Addresses(render(names, example(section, "html"), context)).found
    assert len(addresses) == images
    for address in addresses:
        answer = signing.get(address.removeprefix(base))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert set(origin.targets) == {"/an%20owl?a=1&b=%3C%2F%3E,%22'"}
