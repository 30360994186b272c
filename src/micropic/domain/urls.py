r"""The path grammar, both ways.

```
path       /{mode}/{width}/{height}[/{options}]/{source}[?{query}]
mode       fill | fit
width      1 to proxy.max_side, height the same
options    key=value joined by commas, in one segment; options only if every part of the
           segment reads [a-z]+=... and a source follows it
source     host[:port][/path], http[s]://host[:port][/path] or sample:name, with the query
           of the request as its own; percent-encoded as a whole, or not at all
```

| option | value | default |
|---|---|---|
| `q` | JPEG quality, 1 to 100 | `previewer.quality` |
| `g` | gravity: `smart`, `face`, `center`, compass (`north`), a focus point (`0.3:0.7`) | `smart` |

A source that begins with an encoded scheme (`http%3A`), or has an encoded slash (`%2F`) and
no plain one, was percent-encoded as a whole: it is decoded once, and what is then not legal
in a URI (RFC 3986) is encoded again. Any other source reaches the origin byte for byte; only
bytes that no request line may hold are percent-encoded.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from micropic.domain.errors import BadRequest
from micropic.domain.model import (
    Anchor,
    FocusPoint,
    Gravity,
    Mode,
    Scheme,
    Size,
    SourceUrl,
    Transform,
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the operator may choose of the grammar."""

    max_side: int = 8192
    quality: int = 80
    default_scheme: Scheme = Scheme.HTTP
    faces: bool = True
    """Whether `g=face` can be had."""


DEFAULT = Grammar()

MAX_LENGTH = 8192
"""The longest path with its query, in bytes: beyond it few origins answer (RFC 9110, 4.1)."""

_LONGEST_HOST = 253
"""Characters of a name (RFC 1035, section 2.3.4)."""
_DEFAULT_PORTS = {Scheme.HTTP: 80, Scheme.HTTPS: 443}
_MODES = {mode.encode(): mode for mode in Mode}

_OPTIONS = re.compile(rb"[a-z]+=[^,]*(?:,[a-z]+=[^,]*)*")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ENCODED_SCHEME = re.compile(rb"(?:https?|sample)%3a", re.IGNORECASE)
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_SAMPLE = re.compile(rb"sample:([a-z0-9][a-z0-9._-]*)(?:\?.*)?")
_SCHEME = re.compile(rb"(https?):/+", re.IGNORECASE)
_OTHER_SCHEME = re.compile(rb"([a-z][a-z0-9+.-]*):/", re.IGNORECASE)
_AUTHORITY = re.compile(rb"([^/?]*)(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_REG_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# RFC 3986, appendix A: what a path and a query may hold; "%" only before two hex digits.
_ILLEGAL_IN_URI = re.compile(rb"%(?![0-9a-fA-F]{2})|[^%A-Za-z0-9\-._~!$&'()*+,;=:@/?]")
_ILLEGAL_ON_REQUEST_LINE = re.compile(rb"[^\x21-\x7e]|#")


def parse_path(path: bytes, query: bytes, grammar: Grammar) -> tuple[Transform, SourceUrl]:
    """Read a request's raw path and query.

    Raises:
        BadRequest: with a sentence on what was expected, for whatever is not in the grammar.

    """
    if len(path) + len(query) > MAX_LENGTH:
        msg = f"The address is longer than {MAX_LENGTH} bytes."
        raise BadRequest(msg)
    parts = path.split(b"/", 4)
    if len(parts) < 5 or parts[0] or parts[1] not in _MODES:  # noqa: PLR2004
        msg = "Ask for /fill/{width}/{height}/{source} or /fit/{width}/{height}/{source}."
        raise BadRequest(msg)
    _, mode, width, height, rest = parts
    options, source = _split_options(rest)
    size = Size(_side("width", width, grammar), _side("height", height, grammar))
    transform = _transform(_MODES[mode], size, options, grammar)
    if transform.gravity is Anchor.FACE and not grammar.faces:
        msg = "The gravity g=face needs the extra micropic[faces], which is not installed here."
        raise BadRequest(msg)
    return transform, parse_source(source, query, grammar)


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
    target = illegal.sub(lambda match: b"".join(b"%%%02X" % byte for byte in match[0]), target)
    return SourceUrl(
        scheme, host, None if port == _DEFAULT_PORTS[scheme] else port, target.decode("ascii")
    )


def build_path(transform: Transform, source: SourceUrl) -> str:
    """Give a path (with its query) that `parse_path` reads as this transform and source.

    Equal requests give equal paths: it is the normal form of a request.
    """
    return f"/{build_transform(transform)}/{source}"


def build_transform(transform: Transform) -> str:
    """Give the part of the path before the source, every option spelled out."""
    size = transform.size
    options = ",".join(f"{key}={option.write(transform)}" for key, option in OPTIONS.items())
    return f"{transform.mode}/{size.width}/{size.height}/{options}"


def parse_transform(text: str) -> Transform:
    """Read what `build_transform` gave."""
    mode, width, height, options = text.split("/")
    size = Size(int(width), int(height))
    return _transform(Mode(mode), size, options.encode(), DEFAULT)


# --- the parts of the path -------------------------------------------------------------------


def _split_options(rest: bytes) -> tuple[bytes, bytes]:
    """Tell the options segment, if there is one, from the source."""
    first, slash, source = rest.partition(b"/")
    # Some clients percent-encode "=", "," and ":"; none of them can stand in a host.
    decoded = unquote_to_bytes(first)
    return (decoded, source) if slash and _OPTIONS.fullmatch(decoded) else (b"", rest)


def _side(name: str, digits: bytes, grammar: Grammar) -> int:
    value = int(digits) if _DIGITS.fullmatch(digits) else 0
    if not 1 <= value <= grammar.max_side:
        msg = (
            f"The {name} must be a whole number from 1 to {grammar.max_side}, not {_show(digits)}."
        )
        raise BadRequest(msg)
    return value


def _transform(mode: Mode, size: Size, options: bytes, grammar: Grammar) -> Transform:
    values: dict[str, str] = {}
    for part in options.split(b",") if options else []:
        key, _, value = part.partition(b"=")
        name = key.decode("ascii")
        if name not in OPTIONS:
            known = ", ".join(f"{key} ({option.meaning})" for key, option in OPTIONS.items())
            msg = f"There is no option {name!r}. The options are {known}."
            raise BadRequest(msg)
        if name in values:
            msg = f"The option {name!r} stands twice."
            raise BadRequest(msg)
        values[name] = value.decode("utf-8", "replace")
    quality = _quality(values["q"]) if "q" in values else grammar.quality
    gravity = _gravity(values["g"]) if "g" in values else Anchor.SMART
    # Nothing is cut off by `fit`: one gravity for all, so that all share one cache entry.
    return Transform(mode, size, gravity if mode is Mode.FILL else Anchor.CENTER, quality)


# --- the options -----------------------------------------------------------------------------


def _quality(value: str) -> int:
    quality = int(value) if re.fullmatch(r"[0-9]{1,3}", value) else 0
    if not 1 <= quality <= 100:  # noqa: PLR2004
        msg = f"The quality q must be a whole number from 1 to 100, not {value!r}."
        raise BadRequest(msg)
    return quality


def _gravity(value: str) -> Gravity:
    if value in {anchor.value for anchor in Anchor}:
        return Anchor(value)
    coordinate = r"([01]|[01]?\.[0-9]{1,9}|[01]\.)"
    if match := re.fullmatch(f"{coordinate}:{coordinate}", value):
        # Four places are a pixel in the largest picture; a normal form wants an end to them.
        x, y = (round(float(text), 4) for text in match.groups())
        if x <= 1 and y <= 1:
            return FocusPoint(x, y)
    anchors = ", ".join(anchor.value for anchor in Anchor)
    msg = (
        f"The gravity g must be one of {anchors}, "
        f"or a focus point from 0:0 to 1:1 such as 0.3:0.7, not {value!r}."
    )
    raise BadRequest(msg)


def _write_gravity(transform: Transform) -> str:
    gravity = transform.gravity
    return gravity.value if isinstance(gravity, Anchor) else f"{gravity.x:.4g}:{gravity.y:.4g}"


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the options segment."""

    meaning: str
    write: Callable[[Transform], str]


OPTIONS = {
    "g": Option("gravity: smart, face, center, a compass point or x:y", _write_gravity),
    "q": Option("quality: 1 to 100", lambda transform: str(transform.quality)),
}


# --- the parts of the source -----------------------------------------------------------------


def _scheme(source: bytes, default: Scheme) -> tuple[Scheme, bytes]:
    """Split off the scheme; proxies in front like to collapse `https://` to `https:/`."""
    if match := _SCHEME.match(source):
        return Scheme(match[1].decode().lower()), source[match.end() :]
    if match := _OTHER_SCHEME.match(source):
        msg = f"Sources are fetched by http or https, not {_show(match[1])}."
        raise BadRequest(msg)
    return default, source


def _authority(authority: bytes) -> tuple[str, int | None]:
    """Read `host[:port]`; the host comes back in lower case and ASCII."""
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
    return _host(match[1], shown), port


def _host(host: str, shown: str) -> str:
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        name = host.lower() if host.isascii() else _to_ascii(host)
    except ValueError:  # UnicodeError is one, too
        name = ""
    if len(name) > _LONGEST_HOST or not _REG_NAME.fullmatch(name):
        msg = f"{shown} is not a host name or an address."
        raise BadRequest(msg)
    return name


def _to_ascii(host: str) -> str:
    """Encode a name that is not ASCII, by the standard library's IDNA 2003 (RFC 3490)."""
    if len(host) > _LONGEST_HOST:  # it takes its time over long input
        raise ValueError
    return host.encode("idna").decode("ascii").lower()


def _show(raw: bytes) -> str:
    """Quote a client's bytes for a sentence, in printable ASCII and not too long."""
    text = raw[:80].decode("utf-8", "replace")
    return ascii(text)
