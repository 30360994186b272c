"""The warmer fills the cache of a real service, from every kind of list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import invoke
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService, micropic


@pytest.fixture
def sources(origin: Origin) -> list[str]:
    return [f"http://{origin.on(f'/{name}.jpg', Reply(photo()))}" for name in "abc"]


def test_a_list_is_warmed_in_each_size(
    service: Service, sources: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "list"
    file.write_text("# three\n\n" + "\n".join([*sources, sources[0]]))
    arguments = (
        str(file),
        "--proxy",
        f"http://127.0.0.1:{service.port}/fill",
        "--sizes",
        "31,33x32",
        "--json",
    )
    first = micropic("warm", *arguments)
    assert (first.returncode, first.stderr) == (0, "")
    summary = json.loads(first.stdout)
    assert (summary["requests"], summary["hits"], summary["errors"]) == (6, 0, 0)
    assert summary["by_status"]["200"]["p99"] >= summary["by_status"]["200"]["p50"] > 0
    again = json.loads(micropic("warm", *arguments).stdout)
    assert (again["requests"], again["hits"]) == (6, 6)
    host_and_path = sources[0].removeprefix("http://")
    assert service.get(f"/fill/33/32/{host_and_path}").cache_status == "micropic; hit"


def test_failures_are_summed_up_and_end_with_1(
    service: Service, origin: Origin, tmp_path: Path
) -> None:
    file = tmp_path / "list"
    file.write_text(f"{origin.on('/missing', Reply(status=404))}\nnosuch.invalid/x\n")
    done = micropic(
        "warm", str(file), "--proxy", f"http://127.0.0.1:{service.port}/fill", "--sizes", "30"
    )
    assert done.returncode == 1
    table = done.stdout.splitlines()
    assert [line.split()[:2] for line in table[1:3]] == [["404", "1"], ["502", "1"]]
    assert "2 requests" in table[-1]
    assert "2 errors" in table[-1]
    assert done.stderr.splitlines()[-1].endswith("of 2")


def test_a_proxy_that_is_not_there_is_told_as_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("h/x\n")
    done = micropic("warm", str(file), "--proxy", "http://127.0.0.1:1/fill", "--sizes", "30")
    assert done.returncode == 1
    assert "no answer" in done.stdout


def test_a_sitemap_and_a_listing_are_read(
    service: Service, origin: Origin, sources: list[str]
) -> None:
    entries = "".join(f"<url><loc>{source}</loc></url>" for source in sources[:2])
    sitemap = origin.on("/map.xml", Reply(f"<urlset>{entries}</urlset>".encode()))
    index = f"<sitemapindex><sitemap><loc>http://{sitemap}</loc></sitemap></sitemapindex>"
    origin.on("/index.xml", Reply(index.encode()))
    origin.on("/list/", Reply(b'<a href="../c.jpg">c</a>', headers={"Content-Type": "text/html"}))
    for page, count in (("/index.xml", 2), ("/list/", 1)):
        done = micropic(
            "warm", f"http://{origin.authority}{page}", "--proxy", f"http://127.0.0.1:{service.port}/fill",
            "--sizes", "30", "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["requests"] == count


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("/nowhere",), "/nowhere cannot be read"),
        (("http://127.0.0.1:1/",), "http://127.0.0.1:1/ cannot be read"),
        (("/dev/null",), "/dev/null lists no pictures"),
        (("/dev/null", "--sizes", "3,x"), "A size must be a number such as 300"),
        (("/dev/null", "--sizes", "0"), "A size must be a number such as 300"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = micropic("warm", *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line


def test_what_is_asked_for_is_signed_with_the_first_key(
    start_service: StartService, sources: list[str], tmp_path: Path
) -> None:
    keys = "the first of the keys,the second of the keys"
    service = start_service(PROXY_KEYS=keys)
    file = tmp_path / "list"
    file.write_text("\n".join(sources))
    at = ("--proxy", f"http://127.0.0.1:{service.port}/fill", "--sizes", "30", "--json")
    assert micropic("warm", str(file), *at).returncode == 1
    done = micropic("warm", str(file), *at, PROXY_KEYS=keys)
    assert (done.returncode, json.loads(done.stdout)["errors"]) == (0, 0)
    told = invoke("sign", "--expires", "60", f"/fill/30/30/{sources[0]}", PROXY_KEYS=keys)
    assert service.get(told.stdout.strip()).cache_status == "micropic; hit"
    signature = told.stdout.split("/")[1]
    assert len(signature) == 43
    assert signature not in json.dumps(service.log)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/fill/30/30/h/x"], "Give a key"),
        (["--key", "sixteen characters!", "/fill/30/h/x"], "/fill/30/h/x: "),
        (["--key", "sixteen characters!", "--expires", "9", "/fill/9/9/exp=5/h"], "/fill/9/9/exp="),
    ],
)
def test_what_cannot_be_signed_is_told(arguments: list[str], said: str) -> None:
    told = invoke("sign", *arguments)
    assert told.returncode == 1
    assert told.stderr.startswith(f"micropic: {said}")
