"""What an operator asks of a running service from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

_TIMEOUT = aiohttp.ClientTimeout(total=60)


class ServiceError(Exception):
    """The service was not reached, or refused; the message is one line."""


async def purge(at: str, token: str, asked: Mapping[str, object]) -> int:
    """Have the service at this address purge; give how many entries that were.

    Raises:
        ServiceError: it has not done so.

    """
    headers = {"Authorization": f"Bearer {token}"}
    try:
        body = orjson.dumps(asked)
    except TypeError as error:
        msg = f"what to purge cannot be sent: {error}"
        raise ServiceError(msg) from error
    answer = await _ask("POST", f"{at.rstrip('/')}/purge", headers, body)
    return int(answer["purged"])


async def cache_usage(at: str) -> Mapping[str, Mapping[str, Any]]:
    """Ask at a health port how full the cache is, level by level.

    Raises:
        ServiceError: it did not tell.

    """
    usage: Mapping[str, Mapping[str, Any]]
    usage = await _ask("GET", f"{at.rstrip('/')}/cache", {}, None)
    return usage


async def _ask(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Any:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, url, headers=headers, data=body) as response,
        ):
            answer = orjson.loads(await response.read())
            if response.ok:
                return answer
            reason = answer["detail"]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error) or type(error).__name__
    msg = f"{url} did not do it: {reason}"
    raise ServiceError(msg)
