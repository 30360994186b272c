"""A URL that leads to a public address of the machine itself: an admin page that trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Answer
from tests.support.network import NoNetworkError, in_own_network
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service

IPV4, SECOND, IPV6 = "9.9.9.9", "9.9.9.10", "2620:fe::fe"
ADDRESSES = [f"{IPV4}/32", f"{SECOND}/32", f"{IPV6}/128"]


@contextmanager
def started(directory: Path, **settings: str) -> Iterator[Service]:
    service = Service(directory, SOURCE_TIMEOUT="2", CACHE_NEGATIVE_AGE="0", **settings)
    try:
        yield service.start()
    finally:
        service.close()


def ask(directory: Path, hosts: list[str], **settings: str) -> dict[str, Answer]:
    """Ask for a picture at each host, where all the machine's addresses serve it."""

    def work() -> dict[str, Answer]:
        with (
            Origin("0.0.0.0") as four,
            Origin("::", four.port),
            started(directory, **settings) as service,
        ):
            four.on("/a", Reply(photo()))
            return {host: service.get(f"/fill/30/20/{host}:{four.port}/a") for host in hosts}

    try:
        return in_own_network(ADDRESSES, work)
    except NoNetworkError as error:
        pytest.skip(f"no network of its own: {error}")


def test_no_address_of_the_machine_is_dialled(tmp_path: Path) -> None:
    """Neither IPv4 nor IPv6, in any spelling."""
    spellings = [IPV4, SECOND, f"[{IPV6}]", f"[::ffff:{IPV4}]", "0x09090909", "151587081"]
    answers = ask(tmp_path, spellings)
    assert {host: answer.error for host, answer in answers.items()} == dict.fromkeys(
        spellings, (403, "source_forbidden")
    )
    assert IPV4 not in answers[IPV4].problem["detail"].partition("leads to")[2]


def test_a_network_that_is_allowed_may_be_the_machines_own(tmp_path: Path) -> None:
    answers = ask(tmp_path, [IPV4, SECOND], SOURCE_ALLOW_NETWORKS="9.9.9.9/32")
    assert answers[IPV4].status == 200
    assert answers[SECOND].error == (403, "source_forbidden")
