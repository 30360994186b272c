"""Purging over HTTP: who may, and what is meant."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from micropic.domain import headers, urls
from micropic.domain.errors import BadRequest, MicropicError, NotAuthorized
from micropic.domain.purge import Purge
from micropic.ports import Purgeable
from micropic.web import problems
from micropic.web.rate_limit import GuessLimit, RateLimit
from micropic.web.responses import Response
from micropic.web.routed import as_starlette, request_id

_LONGEST_BODY = 1024 * 1024
"""Bytes."""
_MEMBERS = {"sources", "prefixes", "all"}


class Purging:
    """Has all `caches` in turn forget what whoever knows the token asks them to."""

    def __init__(
        self,
        token: str,
        grammar: urls.Grammar,
        caches: Sequence[Purgeable],
        limit: RateLimit | None = None,
    ) -> None:
        self._token = token
        self._grammar = grammar
        self._caches = caches
        self._limit = limit
        self._guesses = GuessLimit()

    @property
    def enabled(self) -> bool:
        """Tell whether anybody may purge."""
        return bool(self._token)

    def authorize(self, fields: Iterable[tuple[bytes, bytes]], client: str) -> None:
        """Check a request's `Authorization: Bearer` (RFC 6750, section 2.1).

        Raises:
            NotAuthorized: it does not carry the token, or there is none.
            TooManyRequests: the client's address has sent too many wrong tokens.

        """
        self._guesses.check(client)
        given = headers.field(fields, b"authorization")
        if not self._token or not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            self._guesses.failed(client)
            msg = "Purging needs the token of proxy.purge_token, as Authorization: Bearer."
            raise NotAuthorized(msg)

    async def purge(self, what: Purge) -> int:
        """Forget, and tell how many entries of the first cache that were: it has them all."""
        first, *others = self._caches
        purged = await first.purge(what)
        for cache in others:
            await cache.purge(what)
        return purged

    def routes(self) -> list[Route]:
        """Give the route for what is not one preview's path."""
        return [Route("/purge", self._endpoint, methods=["POST"])] if self.enabled else []

    async def _endpoint(self, request: Request) -> StarletteResponse:
        client: str = request.scope["client_ip"]
        limited, refusal = self._limit.take(client) if self._limit else ([], None)
        try:
            if refusal:
                raise refusal
            self.authorize(request.headers.raw, client)
            purged = await self.purge(self._read(await _body(request)))
        except MicropicError as error:
            response = problems.from_error(error, request_id(request), private=True)
        else:
            response = purge_answer(purged)
        return as_starlette(response._replace(headers=response.headers + limited))

    def _read(self, body: bytes) -> Purge:
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            asked = None
        everything = asked.get("all", False) if isinstance(asked, dict) else None
        if not asked or not isinstance(everything, bool) or asked.keys() - _MEMBERS:
            msg = 'Say what to purge as JSON: {"sources": [...], "prefixes": [...], "all": false}.'
            raise BadRequest(msg)
        return Purge(
            frozenset(self._addresses(asked.get("sources", []))),
            tuple(self._addresses(asked.get("prefixes", []))),
            everything=everything,
        )

    def _addresses(self, listed: Any) -> list[str]:
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            msg = "Sources and prefixes must be lists of addresses."
            raise BadRequest(msg)
        return [str(urls.parse_source(item.encode(), b"", self._grammar)) for item in listed]


def purge_answer(purged: int) -> Response:
    """Tell how many entries were purged."""
    fields = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    return Response(200, fields, orjson.dumps({"purged": purged}))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_BODY:
            msg = f"The list is longer than {_LONGEST_BODY} bytes; send it in parts."
            raise BadRequest(msg)
    return bytes(body)
