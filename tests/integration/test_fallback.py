from __future__ import annotations

import pytest

from tests.support.command_line import invoke
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import StartService


@pytest.mark.parametrize(("setting", "status"), [("error", 404), ("200", 200)])
def test_a_fallback_picture_stands_in_for_an_error(
    start_service: StartService, origin: Origin, setting: str, status: int
) -> None:
    service = start_service(PROXY_FALLBACK="sample:cat.jpg", PROXY_FALLBACK_STATUS=setting)
    missing = f"/fill/60/40/{origin.on('/no', Reply(b'no', 404))}"
    answer = service.get(missing)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "image/jpeg")
    assert answer.body == service.get("/fill/60/40/sample:cat.jpg").body
    assert answer.headers["Cache-Control"] == "public, max-age=5"
    assert answer.headers["ETag"] is None
    assert service.get("/fill/0/40/h/x").error == (400, "bad_request")
    good = service.get(f"/fill/60/40/{origin.on('/a', Reply(photo()))}")
    assert good.body != answer.body


def test_a_fallback_that_fails_leaves_the_problem(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(PROXY_FALLBACK=f"http://{origin.on('/gone', Reply(b'no', 410))}")
    missing = f"/fill/60/40/{origin.on('/no', Reply(b'no', 404))}"
    assert service.get(missing).error == (404, "origin_refused")


def test_a_fallback_that_is_no_address_stops_the_start() -> None:
    told = invoke("serve", PROXY_FALLBACK="ftp://h/x")
    assert told.returncode == 1
    assert "proxy.fallback" in told.stderr
