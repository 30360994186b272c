r"""The path grammar, both ways.

```
path       [/{signature}]/{mode}/{width}/{height}[/{options}]/{source}[?{query}]
signature  taken off before the rest is read (domain/signing.py)
mode       fill | fit
width      1 to proxy.max_side, height the same; fill, with dpr, of proxy.max_pixels at most
options    key=value joined by commas, in one segment; options only if every part of the
           segment reads [a-z]+=... and a source follows it (domain/options.py)
source     host[:port][/path], http[s]://host[:port][/path] or sample:name, with the query
           of the request as its own; percent-encoded as a whole, or not at all
```

A source that begins with an encoded scheme (`http%3A`), or has an encoded slash (`%2F`) and
no plain one, was percent-encoded as a whole: it is decoded once, and what is then not legal
in a URI (RFC 3986) is encoded again. Any other source reaches the origin byte for byte; only
bytes that no request line may hold are percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from micropic.domain import accept as accepting
from micropic.domain import hosts, options
from micropic.domain.errors import BadRequest, PreviewForbidden
from micropic.domain.model import DEFAULT_PORTS, Mode, Scheme, Size, SourceUrl, Transform


class AllowedPreview(NamedTuple):
    """What may be asked for of any source."""

    transform: Transform
    """As for a client without an Accept field."""
    negotiated: frozenset[str]
    """As in `Address`: it tells `f=auto` from the formats that such a client gets by it."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the operator may choose of the grammar."""

    defaults: options.Defaults = field(default_factory=options.Defaults)
    default_scheme: Scheme = Scheme.HTTP
    sizes: frozenset[Size] = frozenset()
    """The only sizes that may be asked for, `dpr` included; empty: any."""
    transforms: frozenset[AllowedPreview] = frozenset()
    """The only previews that may be asked for; empty: any."""
    negotiable: frozenset[Transform] = frozenset()
    """All that `transforms` come to, whatever a client accepts (`transforms_of`)."""


class Address(NamedTuple):
    """What a path asks for."""

    transform: Transform
    source: SourceUrl
    negotiated: frozenset[str] = frozenset()
    """The media types of answers that would be others for a client with another Accept."""
    expires: int | None = None
    """When it is of no use any more, in seconds of the Unix epoch."""


DEFAULT = Grammar()

MAX_LENGTH = 8192
"""The longest path with its query, in bytes: beyond it few origins answer (RFC 9110, 4.1)."""

_REMEMBERED = 256
"""Sites ask for few sizes, of pictures at few hosts, and for each of them often."""
_MODES = {mode.encode(): mode for mode in Mode}

_OPTIONS = re.compile(rb"[a-z]+=[^,]*(?:,[a-z]+=[^,]*)*")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_LONGEST_OPTIONS = 1024
"""Bytes of an options segment; all options together, percent-encoded as a whole, have some 800."""
_SOURCE_KEY = "/source/"
_FIELDS = re.compile("[0-9a-f]{40}")
"""A hash of header fields (`headers.ClientFields.digest`)."""
_NO_KEY = "A request in its normal form was expected."
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ENCODED_SCHEME = re.compile(rb"(?:https?|sample)%3a", re.IGNORECASE)
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_SAMPLE = re.compile(rb"sample:([a-z0-9][a-z0-9._-]*)(?:\?.*)?")
_SCHEME = re.compile(rb"(https?):/+", re.IGNORECASE)
_OTHER_SCHEME = re.compile(rb"([a-z][a-z0-9+.-]*):/", re.IGNORECASE)
_AUTHORITY = re.compile(rb"([^/?]*)(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
# RFC 3986, appendix A: what a path and a query may hold; "%" only before two hex digits.
_ILLEGAL_IN_URI = re.compile(rb"(?:%(?![0-9a-fA-F]{2})|[^%A-Za-z0-9\-._~!$&'()*+,;=:@/?])+")
_ILLEGAL_ON_REQUEST_LINE = re.compile(rb"(?:[^\x21-\x7e]|#)+")


def parse_path(path: bytes, query: bytes, grammar: Grammar, accept: str = "") -> Address:
    """Read a request's raw path and query; its Accept field chooses among formats.

    Raises:
        BadRequest: with a sentence on what was expected, for whatever is not in the grammar.
        PreviewForbidden: it is not on the operator's list.

    """
    if len(path) + len(query) > MAX_LENGTH:
        msg = f"The address is longer than {MAX_LENGTH} bytes."
        raise BadRequest(msg)
    parts = path.split(b"/", 4)
    if len(parts) < 5 or parts[0] or parts[1] not in _MODES:  # noqa: PLR2004
        msg = "Ask for /fill/{width}/{height}/{source} or /fit/{width}/{height}/{source}."
        raise BadRequest(msg)
    _, mode, width, height, rest = parts
    segment, source = _split_options(rest)
    asked = _asked(mode, width, height, segment, grammar, accept)
    read = parse_source(source, query, grammar)
    return Address(asked.transform, read, asked.negotiated, asked.expires)


class _Asked(NamedTuple):
    """All that an address says but for its source."""

    transform: Transform
    negotiated: frozenset[str]
    expires: int | None


@lru_cache(_REMEMBERED)
def _asked(  # noqa: PLR0913, PLR0917 # what it is remembered by
    mode: bytes, width: bytes, height: bytes, segment: bytes, grammar: Grammar, accept: str
) -> _Asked:
    """Read what is before the source.

    Raises:
        BadRequest, PreviewForbidden: see `parse_path`.

    """
    max_side = grammar.defaults.max_side
    size = Size(_side("width", width, max_side), _side("height", height, max_side))
    values = options.read(segment)
    transform = options.transform(_MODES[mode], size, values, grammar.defaults, accept)
    asked = _Asked(transform, options.negotiated(values), values.get("exp"))
    if grammar.sizes and transform.size not in grammar.sizes:
        allowed = ", ".join(f"{width}x{height}" for width, height in sorted(grammar.sizes))
        msg = f"The sizes that may be asked for here are {allowed}."
        raise PreviewForbidden(msg)
    if grammar.transforms:
        plain = options.transform(_MODES[mode], size, values, grammar.defaults)
        if AllowedPreview(plain, asked.negotiated) not in grammar.transforms:
            msg = "This preview is not among those that may be asked for here (proxy.transforms)."
            raise PreviewForbidden(msg)
    return asked


def parse_source(source: bytes, query: bytes = b"", grammar: Grammar = DEFAULT) -> SourceUrl:
    """Read a source, whole or with its query apart.

    Raises:
        BadRequest: the source is not understood, or is of a kind that is not fetched.

    """
    if _ENCODED_SCHEME.match(source) or (b"/" not in source and _ENCODED_SLASH.search(source)):
        source = unquote_to_bytes(source).partition(b"#")[0]
        illegal = _ILLEGAL_IN_URI
    else:
        illegal = _ILLEGAL_ON_REQUEST_LINE
    if query:
        source += b"?" + query
    if _CONTROL.search(source):
        msg = "The source holds control characters."
        raise BadRequest(msg)
    if match := _SAMPLE.fullmatch(source):
        return SourceUrl(Scheme.SAMPLE, "", None, match[1].decode())
    scheme, rest = _scheme(source, grammar.default_scheme)
    authority, target = _AUTHORITY.fullmatch(rest).groups()  # type: ignore[union-attr] # matches all
    host, port = _authority(authority)
    path, _, own_query = target.partition(b"?")
    target = (path or b"/") + (b"?" + own_query if own_query else b"")
    target = illegal.sub(_encoded, target)
    return SourceUrl(
        scheme, host, None if port == DEFAULT_PORTS[scheme] else port, target.decode("ascii")
    )


def build_path(transform: Transform, source: SourceUrl) -> str:
    """Give a path (with its query) that `parse_path` reads as this transform and source.

    Equal requests give equal paths: it is the normal form of a request.
    """
    return f"/{build_transform(transform)}/{source}"


def source_key(source: SourceUrl, fields: str = "") -> str:
    """Give the key that the source itself is kept by, in the shape of a preview's.

    `fields` is what `fields_of` gave of the preview's key.
    """
    return keyed_by(f"{_SOURCE_KEY}0/0//{source}", fields)


def is_source_key(key: str) -> bool:
    """Tell whether it is that of a source, not of a preview."""
    return key.startswith(_SOURCE_KEY)


def variant_key(key: str, variant: str) -> str:
    """Give the key of what is kept for some clients only; no source has a `#` in it."""
    return f"{key}#{variant}"


def keyed_by(key: str, fields: str) -> str:
    """Return the key for clients whose keyed header fields have this hash; empty: none.

    It stands where a variant does, and looks different: no key is both.
    """
    return f"{key}#{fields}" if fields else key


def fields_of(key: str) -> str:
    """Return the hash of the header fields that a request's key has in it; empty: none."""
    return key.partition("#")[2]


def source_of(key: str) -> str:
    """Give the source, as text, that a key of any kind is about."""
    return key.split("/", 5)[-1].partition("#")[0]


def is_key_of(key: str, transform: Transform, source: SourceUrl) -> bool:
    """Return True if a preview of this source by this transform is cached by `key`."""
    path, mark, fields = key.partition("#")
    is_keyed = not mark or _FIELDS.fullmatch(fields) is not None
    return is_keyed and path == build_path(transform, source)


def parse_key(key: str) -> tuple[Transform, SourceUrl]:
    """Read what `build_path` gave, whatever the operator's grammar is, without header fields.

    A key that is not in its normal form would let a preview be cached for another request.

    Raises:
        BadRequest: it did not come from there.

    """
    try:
        _, mode, width, height, segment, source = key.split("/", 5)
        transform = parse_transform(f"{mode}/{width}/{height}/{segment}")
    except ValueError as error:
        raise BadRequest(_NO_KEY) from error
    read = parse_source(source.partition("#")[0].encode())
    if not is_key_of(key, transform, read):
        raise BadRequest(_NO_KEY)
    return transform, read


def check_transform(transform: Transform, grammar: Grammar) -> None:
    """Check a transform that did not come from `parse_path` by the operator's limits.

    Raises:
        BadRequest: its size is over a limit, or it is not available here.
        PreviewForbidden: it is not on the operator's list.

    """
    options.check(transform, grammar.defaults)
    is_listed = not grammar.sizes or transform.size in grammar.sizes
    if not is_listed or (grammar.transforms and transform not in grammar.negotiable):
        msg = "This preview is not among those that may be asked for here."
        raise PreviewForbidden(msg)


def transforms_of(path: bytes, grammar: Grammar) -> frozenset[Transform]:
    """Return all transforms that a path may have, one for each kind of Accept.

    Raises:
        BadRequest, PreviewForbidden: see `parse_path`.

    """
    return frozenset(
        parse_path(path, b"", grammar, accept).transform for accept in accepting.EVERY_KIND
    )


@lru_cache(_REMEMBERED)
def build_transform(transform: Transform) -> str:
    """Give the part of the path before the source, in the normal form of its options."""
    size = transform.size
    return f"{transform.mode}/{size.width}/{size.height}/{options.write(transform)}"


@lru_cache(_REMEMBERED)
def parse_transform(text: str) -> Transform:
    """Read what `build_transform` gave."""
    mode, width, height, segment = text.split("/")
    size = Size(int(width), int(height))
    values = options.read(segment.encode())
    return options.transform(Mode(mode), size, values, DEFAULT.defaults)


def with_option(target: str, name: str, value: object) -> str:
    """Give an address with one more option in its path."""
    *steps, rest = target.split("/", 4)
    segment, source = _split_options(rest.encode())
    given = f"{segment.decode()}," if segment else ""
    return "/".join([*steps, f"{given}{name}={value}", source.decode()])


# --- the parts of the path -------------------------------------------------------------------


def _split_options(rest: bytes) -> tuple[bytes, bytes]:
    """Tell the options segment, if there is one, from the source."""
    first, slash, source = rest.partition(b"/")
    if len(first) > _LONGEST_OPTIONS:
        return b"", rest
    # Some clients percent-encode "=", "," and ":"; none of them can stand in a host.
    decoded = unquote_to_bytes(first)
    return (decoded, source) if slash and _OPTIONS.fullmatch(decoded) else (b"", rest)


def _side(name: str, digits: bytes, most: int) -> int:
    value = int(digits) if _DIGITS.fullmatch(digits) else 0
    if not 1 <= value <= most:
        msg = f"The {name} must be a whole number from 1 to {most}, not {_show(digits)}."
        raise BadRequest(msg)
    return value


# --- the parts of the source -----------------------------------------------------------------


def _encoded(run: re.Match[bytes]) -> bytes:
    """Percent-encode every byte of a match; run by run, since a call for each byte is slow."""
    return b"%" + run[0].hex("%").upper().encode()


def _scheme(source: bytes, default: Scheme) -> tuple[Scheme, bytes]:
    """Split off the scheme; proxies in front like to collapse `https://` to `https:/`."""
    if match := _SCHEME.match(source):
        return Scheme(match[1].decode().lower()), source[match.end() :]
    if match := _OTHER_SCHEME.match(source):
        msg = f"Sources are fetched by http or https, not {_show(match[1])}."
        raise BadRequest(msg)
    return default, source


@lru_cache(_REMEMBERED)
def _authority(authority: bytes) -> tuple[str, int | None]:
    """Read `host[:port]`; the host comes back in its normal form."""
    if b"@" in authority:
        msg = "The source holds a user name; credentials travel in headers only."
        raise BadRequest(msg)
    shown = _show(authority)
    try:
        match = _HOST_AND_PORT.fullmatch(authority.decode())
    except UnicodeDecodeError:
        match = None
    if match is None or not match[1]:
        msg = f"The source must begin with a host such as www.example.com, not {shown}."
        raise BadRequest(msg)
    port = int(match[2]) if match[2] else None
    if port is not None and not 1 <= port <= 65535:  # noqa: PLR2004
        msg = f"The port in {shown} must be from 1 to 65535."
        raise BadRequest(msg)
    try:
        return hosts.normal(match[1]), port
    except ValueError:  # UnicodeError is one, too
        msg = f"{shown} is not a host name or an address."
        raise BadRequest(msg) from None


def _show(raw: bytes) -> str:
    """Quote a client's bytes for a sentence, in printable ASCII and not too long."""
    text = raw[:80].decode("utf-8", "replace")
    return ascii(text)
