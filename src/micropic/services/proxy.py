"""The HTTP application: previews on a bare ASGI path, the rest by Starlette."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from starlette.routing import BaseRoute

from micropic.domain import clients, freshness, headers, urls
from micropic.domain.errors import BadSignature, MicropicError, too_late
from micropic.domain.model import Headers, Mode, PreviewRequest, SourceUrl
from micropic.domain.purge import Purge
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
_LONGEST_ACCEPT = 1024
"""Bytes of an Accept field that are looked at; browsers send some 150."""
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
    forward_headers: frozenset[str] | None = None
    """The only ones of the client's that may reach an origin; None: all that can."""
    credential_hosts: Sequence[str] = ()
    reload_networks: Networks = ()
    """Whose clients may have the origin asked by `Cache-Control: no-cache`."""
    fallback: SourceUrl | None = None
    """The picture in the place of errors; `fallback_status` None: with the error's status."""
    fallback_status: int | None = None
    sharing: Sharing = field(default_factory=Sharing)


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
        try:
            if not is_for_us:
                path = scope["raw_path"].decode("utf-8", "replace")
                await exchange.answer(problems.not_found(path, exchange.request_id))
            elif scope["raw_path"].startswith(_PREVIEW_PATHS):
                answer = self._purge if scope["method"] == "DELETE" else self._limited
                await exchange.answer(await answer(scope, receive, exchange))
            else:
                await self._rest(scope, receive, exchange.send)
        except ClientGone:
            exchange.status = _CLIENT_CLOSED_REQUEST
        finally:
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
        if self._options.limit is None:
            return await self._preview(scope, receive, exchange)
        fields, refusal = self._options.limit.take(exchange.client)
        if refusal:
            response = problems.from_error(refusal, exchange.request_id)
        else:
            response = await self._preview(scope, receive, exchange)
        return response._replace(headers=response.headers + fields)

    async def _preview(self, scope: Any, receive: Any, exchange: Exchange) -> Response:
        if scope["method"] not in _METHODS:
            return _method_not_allowed(scope, exchange)
        request = None
        try:
            client = _client(tuple(scope["headers"]), self._options.forward_headers)
            request = self._read(scope, client, exchange.client)
            with self._watches.watch(receive, self._options.timeout + _GRACE):
                preview = await self._previewer.preview(request)
        except (MicropicError, TimeoutError) as error:
            # Its frames and the tasks that failed by it hold each other, and the source.
            error.__traceback__ = None
            told = error if isinstance(error, MicropicError) else too_late()
            private = request is not None and request.private
            problem = problems.from_error(told, exchange.request_id, private=private)
            return await self._fallback.instead(problem, request)
        except ClientGone:
            raise
        except Exception:  # noqa: BLE001 # a defect of ours is one 500, not a dead connection
            self._log.exception("defect", request_id=exchange.request_id)
            return problems.defect(exchange.request_id)
        exchange.provenance = preview.provenance
        asked = client.conditions
        if asked and scope["method"] == "HEAD":
            asked = of_head(asked)
        response = from_preview(preview, request, time.time(), asked)
        return response._replace(headers=response.headers + self._sharing)

    async def _purge(self, scope: Any, _: Any, exchange: Exchange) -> Response:
        """Forget the source of a preview's path, and all that was made of it."""
        if not self._purging.enabled:
            return _method_not_allowed(scope, exchange)
        try:
            self._purging.authorize(scope["headers"])
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
        private = client.has_credentials and headers.host_matches(
            source.host, options.credential_hosts
        )
        return PreviewRequest(
            transform,
            source,
            key=key,
            negotiated=negotiated,
            only_if_cached=client.only_if_cached,
            headers=client.headers if private else client.public_headers,
            private=private,
            reload=client.no_cache and is_among(address, options.reload_networks),
            deadline=time.monotonic() + options.timeout,
            request_id=scope["request_id"],
            client=clients.opaque(address),
        )


def _method_not_allowed(scope: Any, exchange: Exchange) -> Response:
    allowed = ", ".join(sorted(_METHODS))
    return problems.method_not_allowed(scope["method"], allowed, exchange.request_id)


class _Client(NamedTuple):
    """What a request's header fields come to."""

    headers: Headers
    """Those that may reach an origin."""
    public_headers: Headers
    """The same without credentials."""
    has_credentials: bool
    accept: bytes
    only_if_cached: bool
    no_cache: bool
    conditions: Conditions


@lru_cache(maxsize=256)
def _client(fields: tuple[tuple[bytes, bytes], ...], chosen: frozenset[str] | None) -> _Client:
    """Read a request's header fields; those of a page's pictures are mostly the same.

    Raises:
        LoopDetected: the request has been here before.

    """
    forwarded = headers.forwardable(fields, chosen)
    said = headers.field(fields, b"cache-control").decode("latin-1")
    directives = freshness.parse_cache_control(said)
    return _Client(
        forwarded,
        headers.without_credentials(forwarded),
        headers.carries_credentials(forwarded),
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
