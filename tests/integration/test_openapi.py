"""What the service says of itself at `/openapi.json` is so: schemathesis tries it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from micropic.domain.errors import BadRequest
from micropic.domain.urls import DEFAULT, parse_source
from micropic.web.openapi import Described, describe
from micropic.web.pages import page_types
from tests.support.service import Service
from tests.support.shape import running

TOKEN = "a-token-for-purging"
TRIES = 30
"""Of each operation, good ones and bad ones."""
MAX_SIDE = 512
CLIENTS = count(int(IPv4Address("198.18.0.1")))
GOOD = ["2xx", "304", "416"]
"""Statuses of answers to a request that is right; a range may begin behind the end."""
SEEDED = settings(
    max_examples=TRIES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # what fails is not made smaller: each try is a request
    suppress_health_check=list(HealthCheck),
)
OPERATIONS = [
    pytest.param(method, path, mode, id=f"{method} {path}, {mode.value}")
    for path, methods in describe(
        Described(version="1", grammar=DEFAULT, purging=True, pages=page_types())
    )["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
    for mode in GenerationMode
    # Where a request has nothing in it, nothing can be wrong with it.
    if mode is GenerationMode.POSITIVE or "parameters" in methods or "requestBody" in operation
]


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def described(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service that has all the routes there are."""
    settings = {"PROXY_PURGE_TOKEN": TOKEN, "PROXY_MAX_SIDE": str(MAX_SIDE)}
    settings |= {"PROXY_TRUSTED": "127.0.0.0/8"}
    yield from running(request, tmp_path_factory.mktemp("described"), **settings)


@pytest.fixture(scope="module")
def api(described: Service) -> Any:
    """Give the description as schemathesis reads it."""
    config = {"checks": {"positive_data_acceptance": {"expected-statuses": GOOD}}}
    return schemathesis.openapi.from_url(
        f"http://127.0.0.1:{described.port}/openapi.json",
        config=schemathesis.Config.from_dict(config),
    )


def test_the_description_is_openapi(api: Any) -> None:
    api.validate()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_answer_is_as_described(
    api: Any, method: str, path: str, mode: GenerationMode
) -> None:
    """Statuses, media types, bodies; what is right is answered, what is wrong is refused."""

    @given(api[path][method].as_strategy(generation_mode=mode))
    @SEEDED
    def ask(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            make_right(case)
        values = case.path_parameters or {}
        if is_elsewhere(str(values.get("source", ""))):
            values["source"] = "sample:cat.jpg"
        # Each comes from another address: wrong tokens are limited for each of them.
        case.headers["X-Forwarded-For"] = str(IPv4Address(next(CLIENTS)))
        case.call_and_validate()

    ask()


def make_right(case: Case[Any]) -> None:
    """Bring a request to what no schema can say: which words are addresses, what has expired."""
    values: dict[str, Any] = case.path_parameters or {}
    if "source" in values:
        values["source"] = "sample:cat.jpg"
    if "options" in values:
        values["options"] = re.sub("exp=[0-9]+", f"exp={10**11 - 1}", str(values["options"]))
    if "dpr" in values.get("options", ""):
        values.update({side: min(values[side], MAX_SIDE // 4) for side in ("width", "height")})
    if case.method in {"POST", "DELETE"}:
        case.headers["Authorization"] = f"Bearer {TOKEN}"
    if isinstance(case.body, dict):
        for name in {"sources", "prefixes"} & case.body.keys():
            case.body[name] = ["sample:cat.jpg"]


def is_elsewhere(source: str) -> bool:
    try:
        return parse_source(source.encode()).host != ""
    except BadRequest:
        return False
