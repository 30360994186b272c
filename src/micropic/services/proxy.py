"""The HTTP application: previews on a bare ASGI path, the rest by Starlette."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from starlette.routing import BaseRoute

from micropic.domain import clients, freshness, headers, urls
from micropic.domain.errors import BadSignature, MicropicError, Overloaded, too_late
from micropic.domain.model import (
    PIECE,
    BodyLostError,
    Mode,
    PreviewRequest,
    SourceUrl,
)
from micropic.domain.purge import Purge
from micropic.domain.waiting import ResponseRoom
from micropic.ports import Previewer
from micropic.services.exchange import Exchange
from micropic.services.fallback import Fallback
from micropic.services.tallies import Requests
from micropic.web import problems
from micropic.web.client_watch import ClientGone, ClientWatches
from micropic.web.conditions import Conditions, conditions, of_head
from micropic.web.entrance import Entrance, Networks, is_among
from micropic.web.purging import Purging, purge_answer
from micropic.web.rate_limit import RateLimit
from micropic.web.responses import Response, Sharing, from_preview
from micropic.web.routed import routed

_METHODS = {"GET", "HEAD"}
_PREVIEW_PATHS = tuple(f"/{mode}/".encode() for mode in Mode)
_CLIENT_CLOSED_REQUEST = 499
"""What the log says of a client that did not wait, as nginx does; nobody is answered."""
_WHOLE = 1024**2
"""Bytes of a body in the cache that are read at once; of more only a piece is in memory."""
_LONGEST_ACCEPT = 1024
"""Bytes of an Accept field that are looked at; browsers send some 150."""
_LONGEST_CACHE_CONTROL = 1024
"""Bytes of a Cache-Control field that are looked at."""
_TRIES = 2
"""How often a preview is asked for whose body turns out to be lost."""
_GRACE = 0.2
"""Seconds past the deadline in which whoever ran out of time may say so itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """How requests are read."""

    grammar: urls.Grammar
    timeout: float
    """Seconds for a whole request."""
    entrance: Entrance = field(default_factory=Entrance)
    limit: RateLimit | None = None
    fields: headers.FieldRules = field(default_factory=headers.FieldRules)
    """Which of the client's header fields reach an origin, and what they make of the response."""
    credential_hosts: Sequence[str] = ()
    reload_networks: Networks = ()
    """Whose clients may have the origin asked by `Cache-Control: no-cache`."""
    fallback: SourceUrl | None = None
    """The picture in the place of errors; `fallback_status` None: with the error's status."""
    fallback_status: int | None = None
    sharing: Sharing = field(default_factory=Sharing)
    responses: ResponseRoom = field(default_factory=ResponseRoom)
    """Memory budget for responses that are being written."""


class ProxyApp:
    """Answers previews, and hands every other path to `routes`; logs and counts each request."""

    def __init__(
        self,
        previewer: Previewer,
        purging: Purging,
        options: ProxyOptions,
        routes: Sequence[BaseRoute],
        requests: Requests,
    ) -> None:
        self._requests = requests
        self._previewer = previewer
        self._purging = purging
        self._fallback = Fallback(previewer, options.fallback, options.fallback_status)
        self._options = options
        self._sharing = options.sharing.fields()
        self._watches = ClientWatches()
        self._log = structlog.get_logger().bind()  # bound once: it is called for every request
        self._rest = routed(routes)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        entrance = self._options.entrance
        is_for_us = entrance.enter(scope)
        exchange = Exchange(scope, send, entrance.client(scope))
        scope["request_id"] = exchange.request_id
        scope["client_ip"] = exchange.client
        try:
            if not is_for_us:
                path = scope["raw_path"].decode("utf-8", "replace")
                await exchange.answer(problems.not_found(path, exchange.request_id))
            elif scope["raw_path"].startswith(_PREVIEW_PATHS):
                await exchange.answer(await self._limited(scope, receive, exchange))
            else:
                await self._rest(scope, receive, exchange.send)
        except ClientGone:
            exchange.status = _CLIENT_CLOSED_REQUEST
        except BodyLostError:
            self._log.warning("response_cut_short", request_id=exchange.request_id)
            exchange.hang_up()
            await asyncio.sleep(0)  # in which the server hears of it
        finally:
            if exchange.held is not None:
                self._options.responses.release(exchange.held)
            self._end(scope, exchange)

    def _end(self, scope: Any, exchange: Exchange) -> None:
        """Say of a request what there is to be said, all in this place."""
        seconds = exchange.seconds
        self._log.info("request", **exchange.summary(seconds))
        self._requests.answered(
            scope["method"],
            scope["raw_path"],
            exchange.status,
            seconds,
            exchange.bytes,
            exchange.provenance,
        )

    async def _limited(self, scope: Any, receive: Any, exchange: Exchange) -> Response:
        """Answer unless the client has asked for too much; what is kept counts like the rest."""
        answer = self._purge if scope["method"] == "DELETE" else self._preview
        if self._options.limit is None:
            return await answer(scope, receive, exchange)
        fields, refusal = self._options.limit.take(exchange.client)
        if refusal:
            response = problems.from_error(refusal, exchange.request_id)
        else:
            response = await answer(scope, receive, exchange)
        return response._replace(headers=response.headers + fields)

    async def _preview(self, scope: Any, receive: Any, exchange: Exchange) -> Response:
        if scope["method"] not in _METHODS:
            return _method_not_allowed(scope, exchange)
        request = None
        try:
            try:
                client = _client(tuple(scope["headers"]), self._options.fields)
                request = self._read(scope, client, exchange.client)
                return await self._answer(scope, receive, exchange, client, request)
            except (MicropicError, TimeoutError) as error:
                # Its frames and the tasks that failed by it hold each other, and the source.
                error.__traceback__ = None
                told = error if isinstance(error, MicropicError) else too_late()
                return await self._problem(scope, exchange, told, request)
        except ClientGone:
            raise
        except Exception:  # noqa: BLE001 # a defect of ours is one 500, not a dead connection
            self._log.exception("defect", request_id=exchange.request_id)
            return problems.defect(exchange.request_id)

    async def _problem(
        self, scope: Any, exchange: Exchange, error: MicropicError, request: PreviewRequest | None
    ) -> Response:
        """Turn an error into a response: a problem, or the fallback image in its place."""
        problem = problems.from_error(
            error, exchange.request_id, request, may_log_in=self._may_have_credentials(request)
        )
        instead = await self._fallback.instead(problem, request)
        if instead is problem or scope["method"] == "HEAD":
            return instead
        try:
            return instead if self._fits(instead) else await self._with_room(instead, exchange)
        except (BodyLostError, Overloaded):
            return problem

    async def _answer(
        self, scope: Any, receive: Any, exchange: Exchange, client: _Client, request: PreviewRequest
    ) -> Response:
        """Have a preview made and turn it into an answer.

        Raises:
            MicropicError: it cannot be made, or the response budget is exhausted.
            ClientGone: the client has left.

        """
        is_head, asked = scope["method"] == "HEAD", client.conditions
        if asked and is_head:
            asked = of_head(asked)
        for _ in range(_TRIES):
            with self._watches.watch(receive, self._options.timeout + _GRACE):
                preview = await self._previewer.preview(request)
            response = from_preview(preview, request, time.time(), asked)
            try:
                if not (is_head or self._fits(response)):
                    response = await self._with_room(response, exchange)
            except BodyLostError:
                continue  # the cache has dropped it: what is asked for again is made again
            exchange.provenance = preview.provenance
            return response._replace(headers=response.headers + self._sharing)
        msg = "The cache lost the preview; try again in a moment."
        raise Overloaded(msg)

    def _fits(self, response: Response) -> bool:
        """Return True if a response is small: what waits for its client is held by the connection.

        Raises:
            Overloaded: too many responses are being written already.

        """
        if response.stored is not None or len(response.body) > PIECE:
            return False
        room = self._options.responses
        if room.held:
            room.check(len(response.body), time.monotonic())
        return True

    async def _with_room(self, response: Response, exchange: Exchange) -> Response:
        """Reserve memory for a large response, and check or read what of it is in the cache.

        Raises:
            Overloaded: too many responses are being written already.
            BodyLostError: the body is damaged or gone.

        """
        room, length = self._options.responses, response.length
        now = time.monotonic()
        is_streamed = response.stored is not None and length > _WHOLE
        size = PIECE if is_streamed else length
        room.check(size, now, large=True)
        exchange.held = room.hold(size, now, exchange.hang_up)
        try:
            if stored := response.stored:
                if is_streamed:
                    # All of it, before any of it is sent: a damaged body is not served in part.
                    await stored.body.check(stored.first, stored.last)
                else:
                    body = await stored.body.read(stored.first, stored.last)
                    response = response._replace(body=body, stored=None)
        except BodyLostError:
            room.release(exchange.held)
            raise
        return response

    async def _purge(self, scope: Any, _: Any, exchange: Exchange) -> Response:
        """Forget the source of a preview's path, and all that was made of it."""
        if not self._purging.enabled:
            return _method_not_allowed(scope, exchange)
        try:
            self._purging.authorize(scope["headers"], exchange.client)
            address, _ = _parse(
                scope["raw_path"], scope["query_string"], b"", self._options.grammar
            )
            purged = await self._purging.purge(Purge(frozenset({str(address.source)})))
        except MicropicError as error:
            return problems.from_error(error, exchange.request_id, private=True)
        return purge_answer(purged)

    def _read(self, scope: Any, client: _Client, address: str) -> PreviewRequest:
        """Read a request for a preview.

        Raises:
            BadSignature: it is not signed, or no longer.
            BadRequest: it is not in the grammar.
            PreviewForbidden: it is not on the operator's list.

        """
        options = self._options
        options.entrance.check_signature(scope)
        (transform, source, negotiated, expires), key = _parse(
            scope["raw_path"], scope["query_string"], client.accept, options.grammar
        )
        if expires is not None and time.time() > expires:
            msg = "The address has expired."
            raise BadSignature(msg)
        fields = client.fields
        private = fields.has_identity and headers.host_matches(
            source.host, options.credential_hosts
        )
        return PreviewRequest(
            transform,
            source,
            key=urls.keyed_by(key, fields.digest),
            negotiated=negotiated,
            only_if_cached=client.only_if_cached,
            headers=fields.headers if private else fields.public,
            private=private,
            keyed_by=fields.keyed_by,
            trace=fields.trace,
            reload=client.no_cache and is_among(address, options.reload_networks),
            deadline=time.monotonic() + options.timeout,
            request_id=scope["request_id"],
            client=clients.opaque(address),
        )

    def _may_have_credentials(self, request: PreviewRequest | None) -> bool:
        hosts = self._options.credential_hosts
        return request is not None and headers.host_matches(request.source.host, hosts)


def _method_not_allowed(scope: Any, exchange: Exchange) -> Response:
    allowed = ", ".join(sorted(_METHODS))
    return problems.method_not_allowed(scope["method"], allowed, exchange.request_id)


class _Client(NamedTuple):
    """What a request's header fields come to."""

    fields: headers.ClientFields
    accept: bytes
    only_if_cached: bool
    no_cache: bool
    conditions: Conditions


@lru_cache(maxsize=256)
def _client(fields: tuple[tuple[bytes, bytes], ...], rules: headers.FieldRules) -> _Client:
    """Read a request's header fields; those of a page's pictures are mostly the same.

    Raises:
        LoopDetected: the request has been here before.

    """
    said = headers.field(fields, b"cache-control")[:_LONGEST_CACHE_CONTROL].decode("latin-1")
    directives = freshness.parse_cache_control(said)
    return _Client(
        headers.client_fields(fields, rules),
        headers.field(fields, b"accept")[:_LONGEST_ACCEPT],
        "only-if-cached" in directives,
        "no-cache" in directives,
        conditions(fields),
    )


@lru_cache(maxsize=1024)
def _parse(
    path: bytes, query: bytes, accept: bytes, grammar: urls.Grammar
) -> tuple[urls.Address, str]:
    """Read a path, and give its normal form; what is asked often is read once."""
    address = urls.parse_path(path, query, grammar, accept.decode("latin-1"))
    return address, urls.build_path(address.transform, address.source)
