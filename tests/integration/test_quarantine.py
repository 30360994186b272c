"""A picture that ends one render process after the other is refused, and no other picture is."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
from functools import partial
from pathlib import Path

from tests.support.client import Answer
from tests.support.cluster import Cluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import drawing, photo
from tests.support.service import Service, StartService
from tests.support.shape import Shape
from tests.support.waiting import wait_until

ENDLESS = drawing(
    '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="9"/></filter>'
    + '<rect filter="url(#f)" width="64" height="48"/>' * 1000
)
"""Drawn for minutes at a size of 800 x 600."""
CRASHED, HUNG, REFUSED = (422, "render_crashed"), (504, "render_timeout"), (422, "quarantined")
_sizes = itertools.count(20)
CREDENTIALS = [("Authorization", "Basic eDp5")]


def renderers(service: Service) -> list[int]:
    """Give the render processes, in whichever shape."""
    workers = service.workers if isinstance(service, Cluster) else [service]
    return [pid for worker in workers for pid in worker.renderers()]


def crash(service: Service, path: str) -> Answer:
    """Ask for a preview, and have the codec crash at it."""
    sample = f"/fill/{next(_sizes)}/20/sample:cat.jpg"
    wait_until(lambda: service.get(sample).status == 200)  # the next process is there
    (pid,) = renderers(service)
    os.kill(pid, signal.SIGSTOP)
    with service.crowd(1) as crowd:
        answer = crowd.ask(path)
        wait_until(partial(_has_work, pid))
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
        return answer.result()


def _has_work(pid: int) -> bool:
    """Tell whether its service has laid a picture into a render process's memory file."""
    service = re.search(r"PPid:\s(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert service
    files = Path(f"/proc/{service[1]}/fd").iterdir()
    (body,) = (file for file in files if "micropic-render" in str(file.readlink()))
    with body.open("rb") as file:
        return file.read(4) == b"\x89PNG"


def test_a_picture_that_crashes_the_renderer_thrice_is_refused(
    shape: Shape, origin: Origin
) -> None:
    service = shape.start(RENDER_SLOTS="1", PROXY_TIMEOUT="20")
    bad = origin.on("/bad", Reply(photo(form="PNG")))
    good = origin.on("/good", Reply(photo(form="PNG", seed=2)))
    again = origin.on("/again", Reply(photo(form="PNG")))
    for width in (51, 52, 53):
        assert crash(service, f"/fill/{width}/40/{bad}").error == CRASHED
    before = renderers(service)
    assert service.get(f"/fill/54/40/{bad}").error == REFUSED
    assert service.get(f"/fill/54/40/{bad}", CREDENTIALS).error == REFUSED
    assert service.get(f"/fill/54/40/{again}").error == REFUSED
    assert service.get(f"/fill/54/40/{good}").picture.size == (54, 40)
    assert renderers(service) == before


def test_a_picture_that_hangs_the_renderer_thrice_is_refused(shape: Shape, origin: Origin) -> None:
    service = shape.start(RENDER_TIMEOUT="0.5", PROXY_TIMEOUT="20")
    source = origin.on("/a", Reply(ENDLESS))
    for width in (801, 802, 803):
        assert service.get(f"/fill/{width}/600/{source}").error == HUNG
    assert service.get(f"/fill/804/600/{source}").error == REFUSED


def test_private_requests_are_counted_too(shape: Shape, origin: Origin) -> None:
    service = shape.start(RENDER_TIMEOUT="0.5", PROXY_TIMEOUT="20", SOURCE_CREDENTIAL_HOSTS="*")
    source = origin.on("/a", Reply(ENDLESS))
    for width in (801, 802, 803):
        assert service.get(f"/fill/{width}/600/{source}", CREDENTIALS).error == HUNG
    assert service.get(f"/fill/804/600/{source}", CREDENTIALS).error == REFUSED
    assert service.get(f"/fill/804/600/{source}").error == REFUSED


def test_a_purge_lets_it_in_again(start_service: StartService, origin: Origin) -> None:
    service = start_service(RENDER_TIMEOUT="0.5", PROXY_TIMEOUT="20", PROXY_PURGE_TOKEN="t")
    source = origin.on("/a", Reply(ENDLESS))
    for width in (801, 802, 803):
        service.get(f"/fill/{width}/600/{source}")
    assert service.get(f"/fill/804/600/{source}").error == REFUSED
    origin.on("/a", Reply(photo()))
    body = json.dumps({"sources": [source]}).encode()
    assert service.get("/purge", [("Authorization", "Bearer t")], "POST", body).status == 200
    assert service.get(f"/fill/804/600/{source}").picture.size == (804, 600)
    (event,) = service.events("quarantined")
    assert source in event["source"]
