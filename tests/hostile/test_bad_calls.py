"""Calls to the shared cache that nobody should make: it answers each, and goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError, Message

from micropic.v1 import cache_pb2, preview_pb2
from tests.support.messages import bad_messages
from tests.support.shared_cache import SharedCache, StartSharedCache

CALLS = 300
"""Of each method."""
KEY = "/fill/30/20/f=jpeg+png,g=smart,q=80/http://h/a"
PREVIEW = preview_pb2.Preview(
    body=b"picture", media_type="image/jpeg", stored_at=1e9, etag='"a"', lifetime=60.0,
    source=preview_pb2.SourceFacts(etag='"b"', vary="Accept", sha256="c", length=9),
    timing=preview_pb2.Timing(queue=1, fetch=2, render=3),
)  # fmt: skip
PROBLEM = preview_pb2.Problem(code="origin_refused", detail="no", status=404, headers={"a": "b"})
PUT = cache_pb2.PutRequest(key=KEY, preview=PREVIEW, lease="x", length=7)
METHODS: dict[str, list[Message]] = {
    "Get": [cache_pb2.GetRequest(key=KEY)],
    "GetMany": [cache_pb2.GetManyRequest(keys=[KEY, "a", "b"])],
    "GetLarge": [cache_pb2.GetRequest(key=KEY)],
    "Lease": [cache_pb2.LeaseRequest(key=KEY, time_left=0.01)],
    "Put": [PUT],
    "PutLarge": [cache_pb2.PutPiece(request=PUT), cache_pb2.PutPiece(body=b"picture")],
    "Fail": [cache_pb2.FailRequest(key=KEY, lease="x", problem=PROBLEM)],
    "Delete": [cache_pb2.DeleteRequest(key=KEY)],
    "Purge": [cache_pb2.PurgeRequest(sources=["http://h/a"], prefixes=["http://h/"])],
    "Stats": [cache_pb2.StatsRequest()],
}
_SAID_SO = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


@pytest.fixture
def cache(start_shared_cache: StartSharedCache) -> SharedCache:
    return start_shared_cache()


@pytest.fixture
def channel(cache: SharedCache) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{cache.port}") as channel:
        yield channel


def called(channel: grpc.Channel, method: str, sent: list[bytes]) -> str:
    """Make a call of raw messages; give what came of it."""
    call: Any = channel.stream_stream(f"/micropic.v1.Cache/{method}")
    answers = call(iter(sent), timeout=5)
    try:
        next(answers, None)
    except grpc.RpcError:
        return f"{answers.code().name}: {answers.details()}"
    answers.cancel()
    return "OK"


def is_understood(kind: type[Message], body: bytes) -> bool:
    try:
        kind.FromString(body)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("method", METHODS)
def test_no_message_is_more_than_a_refusal(
    cache: SharedCache, channel: grpc.Channel, method: str
) -> None:
    good = METHODS[method]
    outcomes: Counter[str] = Counter()
    for body in bad_messages(good, CALLS):
        sent = [body] if method != "PutLarge" else [good[0].SerializeToString(), body]
        outcome = called(channel, method, sent)
        outcomes[outcome] += 1
        if is_understood(type(good[0]), body):
            name = outcome.partition(":")[0]
            assert name == "OK" or grpc.StatusCode[name] in _SAID_SO, (outcome, body)
    print(outcomes)  # noqa: T201 # for -rA
    assert called(channel, "Stats", [b""]) == "OK"
    assert "Traceback" not in cache.output
