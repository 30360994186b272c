"""Debian's Chromium, and a page that notices what no page of ours may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
_STEP_TIMEOUT = 20_000
"""Milliseconds: a render on a busy machine is among them."""
_OWN = {"data", "blob"}
"""What is no request to anyone."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; while it runs no other event loop can run in this thread."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is missing: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def well_behaved(browser: Browser, **options: Any) -> Iterator[Page]:
    """Give a page that complains of nothing, and asks no host but the one it came from."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 1000}} | options))
    context.set_default_timeout(_STEP_TIMEOUT)
    page = context.new_page()
    complaints: list[str] = []
    hosts: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        # Chromium's own remark on each answer that is an error.
        if not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(_host(request.url)))
    yield page
    expected = _host(page.url)
    context.close()
    assert complaints == []
    assert hosts - {""} == {expected}


def accessibility_faults(page: Page) -> list[str]:
    """Give what axe-core finds, with the elements that it is about."""
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html']}" for fault in found for node in fault["nodes"]]


def _host(url: str) -> str:
    parts = urlsplit(url)
    return "" if parts.scheme in _OWN else parts.netloc
