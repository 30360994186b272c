"""One client asks for all the work that it can: the others have their share all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from micropic.domain import clients
from tests.support.cluster import Cluster
from tests.support.scrape import Scrape
from tests.support.service import Service, StartService
from tests.support.shape import Shape
from tests.support.waiting import wait_until

_SETTINGS = {
    "PROXY_TRUSTED": "127.0.0.0/8",
    "PROXY_TIMEOUT": "60",
    "PROXY_MAX_WAIT": "60",
    "RENDER_TIMEOUT": "60",
    "RENDER_SLOTS": "2",
}
_GREEDY = {"X-Forwarded-For": "2001:db8::1"}
_GREEDY_TOO = {"X-Forwarded-For": "2001:db8::ffff"}
"""The same customer's network."""
_OTHER = {"X-Forwarded-For": "2001:db8:1::1"}


def renderers(service: Service) -> list[int]:
    """Give the render processes, wherever they are."""
    if isinstance(service, Cluster):
        return [pid for worker in service.workers for pid in worker.renderers()]
    return service.renderers()


def rendering(service: Service) -> Service:
    """Give the process that has the render processes."""
    return service.workers[0] if isinstance(service, Cluster) else service


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Have all that is to be rendered meanwhile wait."""
    with ExitStack() as stack:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        yield


def begun(service: Service) -> float:
    """Give how many renders have a process, or wait for one."""
    scrape = Scrape(rendering(service))
    return scrape.value("micropic_render_processes_busy") + scrape.value("micropic_render_waiting")


def order(service: Service, greedy: Sequence[str], other: Sequence[str]) -> list[str]:
    """Have one client queue, then another; give who was answered, one after the other."""
    answered: list[str] = []
    with service.crowd(len(greedy) + len(other)) as crowd:
        futures = []

        def ask(who: str, target: str, fields: dict[str, str]) -> None:
            futures.append(crowd.ask(target, fields))
            futures[-1].add_done_callback(lambda _: answered.append(who))

        with stopped(renderers(service)):
            for number, target in enumerate(greedy):
                ask("greedy", target, _GREEDY if number % 2 else _GREEDY_TOO)
            wait_until(lambda: begun(service) == len(greedy))
            for target in other:
                ask("other", target, _OTHER)
            wait_until(lambda: begun(service) == len(greedy) + len(other))
        assert {future.result().status for future in futures} == {200}
    return answered


def test_a_short_render_waits_for_no_second_long_one(shape: Shape) -> None:
    """Not even in the distributed mode, where more come than a worker usually takes."""
    service = shape.start(**_SETTINGS)
    long = [f"/fill/1700/{1300 + number}/sharpen=1/sample:cat.jpg" for number in range(8)]
    answered = order(service, long, ["/fill/30/20/sample:cat.jpg"])
    assert answered.index("other") <= 1


def test_clients_take_turns_whoever_has_more_connections(start_service: StartService) -> None:
    service = start_service(**_SETTINGS)
    greedy = [f"/fill/300/{200 + number}/sample:rocket.jpg" for number in range(24)]
    other = [f"/fill/200/{200 + number}/sample:rocket.jpg" for number in range(3)]
    answered = order(service, greedy, other)
    assert answered[:11].count("other") == 3


@pytest.mark.parametrize("options", ["sharpen=10", "f=avif,q=100"])
def test_what_takes_too_much_work_is_refused_before_it_is_begun(
    service: Service, options: str
) -> None:
    busy = Scrape(service).value("micropic_render_process_ends_total", how="killed")
    for _ in range(2):
        answer = service.get(f"/fill/4096/8191/{options}/sample:rocket.jpg")
        assert answer.error == (413, "too_much_work")
    assert service.get("/fill/31/20/sample:rocket.jpg").status == 200  # another size is fine
    assert Scrape(service).value("micropic_render_process_ends_total", how="killed") == busy


def test_no_name_of_a_client_is_logged_or_kept(start_service: StartService) -> None:
    """It is for the order of renders alone: another client has a hit, of the same preview."""
    service = start_service(**_SETTINGS)
    target = "/fill/30/20/sample:cat.jpg"
    assert "hit" not in service.get(target, _GREEDY).cache_status
    assert "hit" in service.get(target, _OTHER).cache_status
    name = clients.opaque(_GREEDY["X-Forwarded-For"])
    service.stop()
    assert service.log
    assert all(name not in str(line) for line in service.log)
    kept = [path.read_bytes() for path in service.cache.rglob("*") if path.is_file()]
    assert kept
    assert not any(name.encode() in entry for entry in kept)
