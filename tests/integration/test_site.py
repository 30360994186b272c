"""The site of the documents, as `make site` builds it, in Debian's Chromium."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from scripts.site_pages import lay_out
from tests.support.browser import accessibility_faults, chromium, well_behaved

_OF_THE_THEME = "landmark-unique"
"""Each button that copies code stands in a `nav` of its own."""
_FOREIGN = re.compile(r"""<(?:script|link|img|source|iframe)\b[^>]*=["']?(?:https?:)?//[^>]*>""")
PHONE = {"width": 390, "height": 844}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site") / "docs"
    lay_out(root)
    zensical = Path(sys.executable).with_name("zensical")
    told = subprocess.run(
        [zensical, "build", "--strict", "--config-file", root / "zensical.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return root / "site"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_no_page_has_a_file_from_elsewhere(folder: Path) -> None:
    pages = {path.name: path.read_text() for path in folder.glob("*.html")}
    assert len(pages) > 25
    for name, text in pages.items():
        assert _FOREIGN.findall(text) == [], name
        assert text.count("<h1") == 1, name


def test_a_phone_shows_pages_without_moving_them_sideways(browser: Browser, address: str) -> None:
    with well_behaved(browser, viewport=PHONE) as page:
        for name in ("index", "settings", "from-imgproxy", "architecture"):
            page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_can_be_read_by_everybody(browser: Browser, address: str, scheme: str) -> None:
    with well_behaved(browser, color_scheme=scheme) as page:
        for name in ("index", "from-imgproxy"):
            page.goto(f"{address}/{name}.html")
            faults = [f for f in accessibility_faults(page) if not f.startswith(_OF_THE_THEME)]
            assert faults == [], name


def test_the_search_finds_a_setting(browser: Browser, address: str) -> None:
    with well_behaved(browser) as page:
        page.goto(f"{address}/index.html")
        page.get_by_role("button", name="Search").first.click()
        page.get_by_role("combobox", name="Search").fill("stale_while_revalidate")
        found = page.get_by_role("option", name="cache: the previews and sources")
        expect(found).to_have_attribute("href", re.compile(r"/settings\.html\?.*#cache-"))
