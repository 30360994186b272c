"""What the value of a setting may be: how it is read, and how people are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from micropic.domain import hosts, urls
from micropic.domain.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, for people: in errors, in `--help` and in the README."""

    text: str
    secret: bool = False
    """What was given is not repeated in errors."""


_CACHE_URL = re.compile(
    r"|memory://|file:///[^?#]+|grpc://[^/?#@]+:[0-9]+|rediss?://[^/?#]+(/[0-9]*)?"
    r"|s3://[a-z0-9][a-z0-9.-]+(/[^?#]*)?([?]endpoint=https?://[^/?#&]+/?)?"
)


def _split(value: object) -> object:
    """Take a list apart, joined by commas or of YAML's own; what is no list stays as it is."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return value
    return [str(part).strip() for part in parts if str(part).strip()]


def _split_names(value: object) -> object:
    """Take a list apart as `_split` does; names know no case."""
    parts = _split(value)
    return [part.lower() for part in parts] if isinstance(parts, list) else parts


def _split_words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _preview_size(value: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", value):
        raise ValueError
    return value


def _transform(value: str) -> str:
    """Check the beginning of an address, up to its source."""
    beginning = value.strip("/")
    try:
        source = urls.parse_path(f"/{beginning}/sample:x".encode(), b"", urls.DEFAULT).source
    except BadRequest as error:
        raise ValueError(error.detail) from None
    if str(source) != "sample:x":  # what was meant for options is none: `fill/300/200/q70`
        raise ValueError
    return beginning


def _ports(value: object) -> object:
    """Read `80,443,8000-8999`."""
    parts = _split(str(value) if isinstance(value, int) else value)
    if not isinstance(parts, list):
        return parts
    ports: set[int] = set()
    for part in parts:
        first, dash, last = part.partition("-")
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 65535:  # noqa: PLR2004
            raise ValueError
        ports.update(numbers)
    return tuple(sorted(ports))


def _address(value: str) -> str:
    hosts.address(value)
    return value


def _host_pattern(value: str) -> str:
    """Bring a pattern to the form that hosts are compared in (RFC 3490)."""
    return value if value.isascii() else value.encode("idna").decode("ascii")


def _source(value: str) -> str:
    """Check the address of a picture."""
    try:
        return str(urls.parse_source(value.encode())) if value else value
    except BadRequest as error:
        raise ValueError(error.detail) from None


def cache_url(value: str) -> str:
    """Check what `cache.url` names."""
    if not _CACHE_URL.fullmatch(value) or urlsplit(value).port == 0:
        raise ValueError
    return value


Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number, 0 (any free port) to 65535")]
Count = Annotated[int, Field(ge=0), Allowed("a whole number from 0")]
AtLeastOne = Annotated[int, Field(ge=1), Allowed("a whole number from 1")]
Origin = Annotated[
    str,
    Field(pattern=r"^(\*|https?://[^\s/]+)?$"),
    Allowed("* or an origin such as https://www.example.com"),
]
Source = Annotated[str, AfterValidator(_source), Allowed("the address of a picture, or empty")]
Quality = Annotated[int, Field(ge=1, le=100), Allowed("a whole number from 1 to 100")]
Seconds = Annotated[float, Field(gt=0, le=3600), Allowed("seconds, more than 0 and up to 3600")]
Age = Annotated[float, Field(ge=0, le=31_536_000), Allowed("seconds, up to a year")]
Share = Annotated[float, Field(ge=0, le=0.9), Allowed("a number from 0 to 0.9")]
Switch = Annotated[bool, Allowed("on or off")]
Bytes = Annotated[ByteSize, Allowed("bytes, such as 512MiB or 2GB")]
Rate = Annotated[float, Field(ge=0), Allowed("a number from 0")]
Text = Annotated[str, Allowed("text")]
Names = Annotated[
    tuple[Annotated[str, AfterValidator(_host_pattern)], ...],
    BeforeValidator(_split_names),
    Allowed("host names joined by commas; * stands for anything"),
]
Ports = Annotated[
    tuple[int, ...],
    BeforeValidator(_ports),
    Allowed("ports joined by commas, such as 80,443,8000-8999"),
]
Prefix = Annotated[
    str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$"), Allowed("a path such as /img, or empty")
]
Header = Annotated[
    str,
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    Field(pattern=r"^[a-z0-9-]+$"),
    Allowed("the name of a header field"),
]
Headers = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_names),
    Allowed("all, or names of header fields joined by commas"),
]
FieldPatterns = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[a-z0-9_*-]*[a-z0-9][a-z0-9_*-]*$")], ...],
    BeforeValidator(_split_names),
    Allowed("names of header fields joined by commas; * stands for anything"),
]
Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    BeforeValidator(_split_names),
    Allowed("addresses joined by commas, each with or without a port"),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    BeforeValidator(_split_names),
    Allowed("networks joined by commas, such as 127.0.0.0/8,10.0.0.0/8"),
]
Keys = Annotated[
    tuple[Annotated[str, Field(min_length=16)], ...],
    BeforeValidator(_split),
    Allowed("keys of 16 characters or more, joined by commas", secret=True),
]
Sizes = Annotated[
    tuple[Annotated[str, AfterValidator(_preview_size)], ...],
    BeforeValidator(_split_names),
    Allowed("sizes joined by commas, such as 300x200,64x64"),
]
Transforms = Annotated[
    tuple[Annotated[str, AfterValidator(_transform)], ...],
    BeforeValidator(_split_words),
    Allowed("beginnings of addresses joined by spaces, such as fill/300/200 fit/640/640/q=70"),
]
