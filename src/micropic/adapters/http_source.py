"""Pictures from web servers."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp
from aiohttp.resolver import AsyncResolver
from yarl import URL

from micropic.adapters.address_guard import AddressDenied, AddressGuard, AddressRefused
from micropic.adapters.bounded_answer import BoundedConnector, TooMuchFraming
from micropic.adapters.content_coding import decoder_for
from micropic.adapters.origins import Origins
from micropic.domain import freshness, urls
from micropic.domain.errors import (
    BadRequest,
    OriginFailed,
    OriginRefused,
    OriginTimeout,
    SourceForbidden,
    SourceTooLarge,
)
from micropic.domain.headers import FieldRules, Kind, only_plain
from micropic.domain.model import Headers, SourceFacts, SourcePicture, SourceUrl
from micropic.domain.source_rules import SourceRules
from micropic.domain.waiting import Room

_READ_BUFFER = 1024 * 1024
"""Bytes that may wait to be read; with less a photo is paused and resumed on its way."""
_LONGEST_FACT = 1024
"""Characters of a header field that are kept with a picture; a longer one is not believed."""
_LONGEST_PAUSE = 86_400.0
"""Seconds; an origin that says more in Retry-After is not believed."""
_REDIRECTS = {301, 302, 303, 307, 308}
_NOT_FOR_THE_CLIENT = {407, 421}
"""4xx that speak of the way from us to the origin (RFC 9110, sections 15.5.8 and 15.5.20)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSourceOptions:
    """Bounds and rules for fetching; times in seconds."""

    accept: str
    user_agent: str
    timeout: float = 5.0
    connect_timeout: float = 2.0
    read_timeout: float = 5.0
    """The longest silence, before the first byte or after."""
    max_bytes: int = 32 * 1024 * 1024
    max_redirects: int = 10
    max_per_origin: int = 64
    """Requests at one origin at a time."""
    rules: SourceRules = field(default_factory=SourceRules)
    fields: FieldRules = field(default_factory=FieldRules)
    """What goes along where a redirect leaves the origin."""
    nameservers: Sequence[str] = ()


class HttpSource:
    """Fetches by HTTP, with one connection pool; an async context manager."""

    def __init__(
        self, guard: AddressGuard, options: HttpSourceOptions, room: Room | None = None
    ) -> None:
        self._guard = guard
        self._options = options
        self._room = room or Room()
        patience = min(options.timeout, options.read_timeout) / 2
        self.origins = Origins(options.max_per_origin, patience)
        self._session: aiohttp.ClientSession
        self._resolver: AsyncResolver

    async def __aenter__(self) -> Self:
        options = self._options
        # c-ares asks without threads: look-ups that hang keep nothing else waiting.
        self._resolver = AsyncResolver(nameservers=list(options.nameservers) or None)
        connector = BoundedConnector(
            limit=0,  # what is in flight is bounded before it gets here
            socket_factory=self._guard.open_socket,
            resolver=self._resolver,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=options.connect_timeout, sock_read=options.read_timeout
            ),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    async def fetch(
        self,
        url: SourceUrl,
        headers: Headers,
        deadline: float,
        known: SourceFacts | None = None,
        client: str = "",
    ) -> SourcePicture:
        """Get a picture's bytes before `deadline`, in seconds of the monotonic clock.

        Where the origin says that the picture is the one that is `known` still, there is no body.

        Raises:
            MicropicError: one of the `Origin...` and `Source...` errors.

        """
        try:
            async with asyncio.timeout(min(self._options.timeout, deadline - time.monotonic())):
                return await self._follow(url, headers, known, client)
        except TimeoutError:
            msg = f"{url.authority} did not answer in time. Is the server slow or down?"
            raise OriginTimeout(msg) from None
        except aiohttp.InvalidURL as error:
            msg = f"{url.authority} is not an address that can be fetched from."
            raise BadRequest(msg) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A connection keeps the error it had, whose frames hold the connection and all it gave.
            raise self._failure(url, error) from error.with_traceback(None)

    async def _follow(
        self, url: SourceUrl, headers: Headers, known: SourceFacts | None, client: str
    ) -> SourcePicture:
        shareable, asked = True, url
        for _ in range(self._options.max_redirects + 1):
            self._options.rules.check(url)
            async with (
                self.origins.visit(url, client) as answered,
                self._session.get(
                    URL(str(url), encoded=True),
                    headers=[*self._fields(headers), *_validators(known)],
                    allow_redirects=False,
                ) as response,
            ):
                answered()
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    if response.status >= HTTPStatus.BAD_REQUEST:
                        raise self._refusal(url, asked, response)
                    picture = await self._read(url, response, known)
                    return picture if shareable else _unshared(picture)
                # Where a redirect leads is as much a part of the answer as what is there.
                shareable &= _may_be_kept(_facts(response.headers))
            target = _next_hop(url, location)
            if target.origin != url.origin:
                headers = only_plain(headers, self._options.fields)
            url = target
        msg = f"The origin redirected more than {self._options.max_redirects} times."
        raise OriginFailed(msg)

    def _fields(self, headers: Headers) -> list[tuple[str, str]]:
        fields = [
            *headers,
            ("accept", self._options.accept),
            ("accept-encoding", "identity"),
        ]
        if not any(name == "user-agent" for name, _ in headers):
            fields.append(("user-agent", self._options.user_agent))
        return fields

    async def _read(
        self, url: SourceUrl, response: aiohttp.ClientResponse, known: SourceFacts | None
    ) -> SourcePicture:
        if response.status == HTTPStatus.NOT_MODIFIED and known and _validators(known):
            return SourcePicture(None, freshness.merged(known, _facts(response.headers)))
        if response.status != HTTPStatus.OK:
            raise OriginFailed(_no_picture(url, response.status))
        limit = self._options.max_bytes
        if (response.content_length or 0) > limit:
            raise _too_large(limit)
        decoder = decoder_for(response.headers.get("Content-Encoding", ""))
        digest = hashlib.sha256()
        pieces: list[bytes] = []
        length = received = 0
        with self._room.share() as take:
            async for chunk in response.content.iter_any():
                decoded = decoder.decode(chunk, limit - length)
                take(len(decoded))
                pieces.append(decoded)
                length += len(decoded)
                received += len(chunk)
                if max(length, received) > limit:
                    raise _too_large(limit)
                digest.update(decoded)
        decoder.finish()
        if not length:
            msg = f"{url.authority} answered with nothing."
            raise OriginFailed(msg)
        facts = replace(_facts(response.headers), sha256=digest.hexdigest(), length=length)
        return SourcePicture(b"".join(pieces), facts)

    def _refusal(
        self, url: SourceUrl, asked: SourceUrl, response: aiohttp.ClientResponse
    ) -> OriginRefused | OriginFailed:
        status, said = response.status, response.headers
        if status >= 500 or status in _NOT_FOR_THE_CLIENT:  # noqa: PLR2004
            return OriginFailed(_no_picture(url, status))
        told = {
            "Retry-After": _pause(said.get("Retry-After", ""), time.time()),
            "Vary": ", ".join(self._decided_by(", ".join(said.getall("Vary", [])))),
        }
        # The client knows the origin that it named alone: to no other one it is to log in.
        if url.origin == asked.origin:
            told["WWW-Authenticate"] = said.get("WWW-Authenticate", "")
        # What is no plain text could not be sent on, or would show as something else.
        kept = {name: each for name, each in told.items() if re.fullmatch(r"[ -~]+", each)}
        msg = f"{url.authority} answered {_phrase(status)}. Check the address of the picture."
        return OriginRefused(msg, status, kept)

    def _decided_by(self, vary: str) -> list[str]:
        """Return the fields of clients that are in no key, out of those that Vary names."""
        kind = self._options.fields.kind
        names = freshness.varies_by(vary)
        return [name for name in names if name == "*" or kind(name) is Kind.PLAIN]

    def _failure(self, url: SourceUrl, error: Exception) -> Exception:
        reason = "what it sent is not understood"
        dialling = getattr(error, "os_error", None)
        if isinstance(dialling, AddressDenied):
            msg = f"{url.host} leads to an address that is not fetched from."
            return SourceForbidden(msg)
        if isinstance(dialling, AddressRefused):
            msg = (
                f"{url.host} leads to an address that is private, local or reserved. "
                "The operator can allow its network with source.allow_networks."
            )
            return SourceForbidden(msg)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            reason = "its name does not resolve"
        elif isinstance(error, aiohttp.ClientSSLError):
            reason = "its certificate is not valid, or it does not speak TLS"
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = os.strerror(error.errno).lower() if error.errno else "no connection"
        elif isinstance(error, TooMuchFraming):
            reason = "what it sends is hardly any picture"
        elif isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
            reason = "the connection closed before the answer was whole"
        msg = f"{url.authority} cannot be fetched from: {reason}."
        return OriginFailed(msg)


def _validators(known: SourceFacts | None) -> list[tuple[str, str]]:
    """Give the fields that ask for a picture only if it has changed (RFC 9110, 13.1)."""
    if known is None:
        return []
    fields = [("if-none-match", known.etag), ("if-modified-since", known.last_modified)]
    return [(name, value) for name, value in fields if value]


def _may_be_kept(facts: SourceFacts) -> bool:
    return freshness.lifetime(facts) > 0 and not freshness.varies_by(facts.vary)


def _next_hop(url: SourceUrl, location: str) -> SourceUrl:
    """Read a Location, relative ones too, by the rules that the first address was read by."""
    # A lone surrogate is a byte that was not UTF-8; it is percent-encoded like any other.
    absolute = urljoin(str(url), location.partition("#")[0])
    if not absolute.lower().startswith(("http://", "https://")):
        msg = "The origin redirected to what is no web address."
        raise OriginFailed(msg)
    try:
        return urls.parse_source(absolute.encode("utf-8", "surrogateescape"))
    except BadRequest as error:
        msg = f"The origin redirected to what cannot be fetched. {error.detail}"
        raise OriginFailed(msg) from error


def _no_picture(url: SourceUrl, status: int) -> str:
    return f"{url.authority} answered {_phrase(status)} where a picture was asked for."


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _pause(retry_after: str, now: float) -> str:
    """Return Retry-After in seconds from `now`, within bounds; empty if it is not understood."""
    if re.fullmatch("[0-9]+", retry_after):
        seconds = float(retry_after)
    else:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, OverflowError):
            return ""
    return str(math.ceil(min(max(seconds, 0.0), _LONGEST_PAUSE)))


def _too_large(limit: int) -> SourceTooLarge:
    msg = f"The source has more than {limit} bytes, the limit set by source.max_bytes."
    return SourceTooLarge(msg)


def _unshared(picture: SourcePicture) -> SourcePicture:
    """Say of a picture what the redirects on the way to it said: that no cache may keep it."""
    return replace(picture, facts=replace(picture.facts, cache_control="no-store"))


def _latin1(value: str) -> str:
    """Give each byte of a field as one character (RFC 9110, section 5.5), not UTF-8 and scraps."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _facts(headers: Any) -> SourceFacts:
    def fact(name: str, unreadable: str | None = None) -> str | None:
        values = headers.getall(name, [])
        joined = _latin1(", ".join(values)) if values else None
        return joined if joined is None or _is_readable(joined) else unreadable

    return SourceFacts(
        etag=fact("ETag"),
        last_modified=fact("Last-Modified"),
        cache_control=fact("Cache-Control", "no-store"),
        expires=fact("Expires", "0"),
        date=fact("Date"),
        age=fact("Age"),
        vary=fact("Vary", "*"),
    )


def _is_readable(fact: str) -> bool:
    """Tell whether it is short enough to keep, and no byte of it (a lone surrogate) is no UTF-8."""
    return len(fact) <= _LONGEST_FACT and not any("\ud800" <= char <= "\udfff" for char in fact)
