"""A render process may die at any moment: that costs one request at the most."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from concurrent.futures import Future
from functools import partial

import pytest

from tests.support.client import Answer
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.waiting import wait_until

KILLS = int(os.environ.get("MICROPIC_TEST_KILLS", "200"))
SLOTS = 2


@pytest.mark.slow
def test_deaths_under_load_cost_single_requests_and_no_slot(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(RENDER_SLOTS=str(SLOTS), PROXY_TIMEOUT="20", CACHE_MEMORY="0")
    body = photo(640, 480)
    # Each is another image: three deaths in a row over one image would quarantine it.
    origin.fallback = lambda request: Reply(body + request.target.encode())
    source = f"{origin.authority}/a"
    chance = random.Random(11)
    sizes = iter((width, height) for width in range(100, 400) for height in range(100, 400))
    answers: dict[tuple[int, int], Future[Answer]] = {}
    with service.crowd(12) as crowd:
        for kill in range(KILLS):
            for width, height in (next(sizes), next(sizes)):
                answers[width, height] = crowd.ask(
                    f"/fill/{width}/{height}/{source}?{width}x{height}"
                )
            # Each death meets a service at work: another answer has come since the last one.
            wait_until(partial(more_than, kill, answers))
            victims = wait_until(service.renderers)
            for pid in victims if chance.random() < 0.1 else [chance.choice(victims)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    outcomes = {size: answer.result() for size, answer in answers.items()}
    for size, answer in outcomes.items():
        if answer.status == 200:
            assert answer.picture.size == size
        else:
            assert answer.error in {
                (422, "render_crashed"),
                (504, "render_timeout"),
                (504, "timeout"),
            }
    assert any(answer.status == 200 for answer in outcomes.values())
    assert service.events("defect") == []
    wait_until(lambda: len(service.renderers()) == SLOTS)
    with service.crowd(8) as crowd:
        after = [crowd.ask(f"/fill/50/{height}/{source}") for height in range(1, 60)]
    assert [answer.result().picture.size for answer in after] == [(50, h) for h in range(1, 60)]
    assert len(service.renderers()) == SLOTS


def more_than(least: int, answers: dict[tuple[int, int], Future[Answer]]) -> bool:
    return sum(answer.done() for answer in answers.values()) > least


def test_render_processes_end_with_the_service(start_service: StartService) -> None:
    service = start_service(RENDER_SLOTS=str(SLOTS))
    pids = service.renderers()
    assert len(pids) == SLOTS
    service.kill()
    wait_until(lambda: not any(_runs(pid) for pid in pids))


def test_an_idle_render_process_that_dies_is_replaced(start_service: StartService) -> None:
    service = start_service(RENDER_SLOTS=str(SLOTS))
    pids = service.renderers()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(service.events("render_process_died")) == SLOTS)
    wait_until(lambda: len(service.renderers()) == SLOTS)
    assert service.get("/fill/30/20/sample:cat.jpg").picture.size == (30, 20)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_render_processes_let_the_service_itself_go_first(service: Service) -> None:
    def niceness(pid: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, pid)

    assert len(service.renderers()) == 2
    assert all(niceness(pid) > niceness(service.pid) for pid in service.renderers())


def test_render_processes_share_the_cpu_of_the_service_but_not_its_ctrl_c(service: Service) -> None:
    """Linux gives each session as much CPU as another (autogroups), whatever runs in it."""
    for pid in service.renderers():
        assert os.getsid(pid) == os.getsid(service.pid)
        assert os.getpgid(pid) == pid
