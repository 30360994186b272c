"""What the warmer asks for, and how it sums up."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from micropic.adapters.source_lists import Links
from micropic.domain.model import Size
from micropic.services.warmer import NO_ANSWER, Outcome, Plan, Tally

SIZES = (Size(50, 50), Size(300, 200))


def plan(number: int | None = None, seed: int = 0) -> Plan:
    sources = ["h/a.jpg", "https://h/ö b%2F?x=1&y"]
    return Plan(proxy="http://p/fill", sources=sources, sizes=SIZES, number=number, seed=seed)


def test_without_a_number_each_source_is_asked_for_in_each_size_once() -> None:
    urls = list(plan().urls())
    assert len(plan()) == len(urls) == len(set(urls)) == 4
    assert urls[0] == "http://p/fill/50/50/h%2Fa.jpg"


def test_a_source_arrives_as_it_is_whatever_it_holds() -> None:
    last = list(plan().urls())[-1]
    assert last.isascii()
    assert unquote(last.removeprefix("http://p/fill/300/200/")) == "https://h/ö b%2F?x=1&y"


def test_a_seed_draws_the_same_requests_again() -> None:
    assert list(plan(50, seed=3).urls()) == list(plan(50, seed=3).urls())
    assert list(plan(50, seed=3).urls()) != list(plan(50, seed=4).urls())
    assert len(plan(50)) == len(list(plan(50).urls())) == 50


def test_figures_are_told_by_status() -> None:
    tally = Tally()
    for number in range(100):
        tally.add(Outcome(200, seconds=number + 1, hit=number < 30, length=5))
    tally.add(Outcome(502, 0.5, hit=False, length=9))
    tally.add(Outcome(NO_ANSWER, 0.25, hit=False, length=0))
    assert (tally.count, tally.hits, tally.errors) == (102, 30, 2)
    good = tally.by_status()[200]
    assert (good.count, good.hits, good.p50, good.p95, good.p99) == (100, 30, 50, 95, 99)
    assert list(tally.summary()["by_status"]) == ["none", "200", "502"]


SITEMAP = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "http://evil/x.jpg">]>
<urlset xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
 <url><loc>http://h/page.html</loc><image:image><image:loc> http://h/a?id=1&amp;b=2 </image:loc>
 </image:image></url>
 <url><loc>http://h/b.JPG</loc></url><url><loc>&e;</loc></url>
</urlset>"""
INDEX = "<sitemapindex><sitemap><loc>/one.xml</loc></sitemap><sitemap><loc>two.xml</loc></sitemap>"
LISTING = """<html><a href="../">../</a><a href="a%20b.jpg">a b.jpg</a><br><a href="sub/">s</a>
<img src="/c.webp?v=2"><a href="https://o/d.PNG#x">d</a><a href="notes.txt">n</a></html>"""


@pytest.mark.parametrize(
    ("page", "pictures", "sitemaps"),
    [
        (SITEMAP, ["http://h/a?id=1&b=2", "http://h/b.JPG"], []),
        (INDEX, [], ["http://h/one.xml", "http://h/m/two.xml"]),
        (LISTING, ["http://h/m/a%20b.jpg", "http://h/c.webp?v=2", "https://o/d.PNG#x"], []),
        ("</x><loc>", [], []),
        ("", [], []),
    ],
    ids=["sitemap", "index", "listing", "odd", "empty"],
)
def test_links_to_pictures_are_found(page: str, pictures: list[str], sitemaps: list[str]) -> None:
    links = Links("http://h/m/")
    links.feed(page)
    assert (links.pictures, links.sitemaps) == (pictures, sitemaps)
