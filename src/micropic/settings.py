"""Every knob, declared once: its name, default, bounds and meaning.

A value comes from a flag, else from the environment, else from the YAML file, else it is the
default. The names follow from the declaration: `proxy.port` in words, `proxy: {port: ...}` in
YAML, `PROXY_PORT` in the environment, `--proxy-port` on the command line. Read by `wiring`
and `cli` only; everything else gets values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
)

from micropic.domain import urls
from micropic.domain.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, for people: in errors, in `--help` and in the README."""

    text: str
    secret: bool = False
    """What was given is not repeated in errors."""


_Layer = dict[str, tuple[object, str]]
"""What one place gives: the value and the place, by the setting's name."""

_BARE_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_CACHE_URL = re.compile(
    r"|memory://|file:///[^?#]+|grpc://[^/?#@]+:[0-9]+|rediss?://[^/?#]+(/[0-9]*)?"
    r"|s3://[a-z0-9][a-z0-9.-]+(/[^?#]*)?([?]endpoint=https?://[^/?#&]+/?)?"
)
_PASSWORD = re.compile(r"//.*@")


def _split(value: object) -> object:
    """Take a list apart, joined by commas or of YAML's own; names know no case."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return value
    return [str(part).strip().lower() for part in parts if str(part).strip()]


def _split_secrets(value: object) -> object:
    """Take a list apart as `_split` does; what is secret knows upper and lower case."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return value
    return [str(part).strip() for part in parts if str(part).strip()]


def _split_words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _preview_size(value: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", value):
        raise ValueError
    return value


def _transform(value: str) -> str:
    """Check the beginning of an address, up to its source."""
    try:
        urls.parse_path(f"/{value.strip('/')}/sample:x".encode(), b"", urls.DEFAULT)
    except BadRequest as error:
        raise ValueError(error.detail) from None
    return value.strip("/")


def _ports(value: object) -> object:
    """Read `80,443,8000-8999`."""
    parts = str(value).split(",") if isinstance(value, str | int) else value
    if not isinstance(parts, list):
        return value
    ports: set[int] = set()
    for part in filter(None, (str(part).strip() for part in parts)):
        first, dash, last = part.partition("-")
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 65535:  # noqa: PLR2004
            raise ValueError
        ports.update(numbers)
    return tuple(sorted(ports))


def _address(value: str) -> str:
    """Check `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`."""
    match = re.fullmatch(r"\[(.*)\](?::[0-9]+)?|([^:]*)(?::[0-9]+)?|(.*)", value)
    ip_address(next((part for part in (match.groups() if match else ()) if part), ""))
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


def _cache_url(value: str) -> str:
    if not _CACHE_URL.fullmatch(value) or urlsplit(value).port == 0:
        raise ValueError
    return value


_Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number, 0 (any free port) to 65535")]
_Count = Annotated[int, Field(ge=0), Allowed("a whole number from 0")]
_AtLeastOne = Annotated[int, Field(ge=1), Allowed("a whole number from 1")]
_Origin = Annotated[
    str,
    Field(pattern=r"^(\*|https?://[^\s/]+)?$"),
    Allowed("* or an origin such as https://www.example.com"),
]
_Source = Annotated[str, AfterValidator(_source), Allowed("the address of a picture, or empty")]
_Quality = Annotated[int, Field(ge=1, le=100), Allowed("a whole number from 1 to 100")]
_Seconds = Annotated[float, Field(gt=0, le=3600), Allowed("seconds, more than 0 and up to 3600")]
_Age = Annotated[float, Field(ge=0, le=31_536_000), Allowed("seconds, up to a year")]
_Share = Annotated[float, Field(ge=0, le=0.9), Allowed("a number from 0 to 0.9")]
_Switch = Annotated[bool, Allowed("on or off")]
_Bytes = Annotated[ByteSize, Allowed("bytes, such as 512MiB or 2GB")]
_Rate = Annotated[float, Field(ge=0), Allowed("a number from 0")]
_Text = Annotated[str, Allowed("text")]
_Names = Annotated[
    tuple[Annotated[str, AfterValidator(_host_pattern)], ...],
    BeforeValidator(_split),
    Allowed("host names joined by commas; * stands for anything"),
]
_Ports = Annotated[
    tuple[int, ...],
    BeforeValidator(_ports),
    Allowed("ports joined by commas, such as 80,443,8000-8999"),
]
_Prefix = Annotated[
    str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$"), Allowed("a path such as /img, or empty")
]
_Header = Annotated[
    str,
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    Field(pattern=r"^[a-z0-9-]+$"),
    Allowed("the name of a header field"),
]
_Headers = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    Allowed("all, or names of header fields joined by commas"),
]
_Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    BeforeValidator(_split),
    Allowed("addresses joined by commas, each with or without a port"),
]
_Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    BeforeValidator(_split),
    Allowed("networks joined by commas, such as 127.0.0.0/8,10.0.0.0/8"),
]


_Keys = Annotated[
    tuple[Annotated[str, Field(min_length=16)], ...],
    BeforeValidator(_split_secrets),
    Allowed("keys of 16 characters or more, joined by commas", secret=True),
]
_Sizes = Annotated[
    tuple[Annotated[str, AfterValidator(_preview_size)], ...],
    BeforeValidator(_split),
    Allowed("sizes joined by commas, such as 300x200,64x64"),
]
_Transforms = Annotated[
    tuple[Annotated[str, AfterValidator(_transform)], ...],
    BeforeValidator(_split_words),
    Allowed("beginnings of addresses joined by spaces, such as fill/300/200 fit/640/640/q=70"),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProxySettings(_Section):
    """The HTTP service."""

    host: _Text = Field("0.0.0.0", description="address to listen on")  # noqa: S104 # it is a server
    port: _Port = Field(8080, description="port to listen on")
    timeout: _Seconds = Field(5.0, description="time for a whole request")
    max_side: Annotated[
        int, Field(ge=1, le=16384), Allowed("a whole number of pixels from 1 to 16384")
    ] = Field(8192, description="longest side of a preview")
    prefix: _Prefix = Field("", description="what stands before every path, as /img behind nginx")
    trusted: _Networks = Field(
        (), description="proxies in front whose word on the client's address is believed"
    )
    client_header: _Header = Field(
        "x-forwarded-for", description="where they say it; forwarded is RFC 7239's"
    )
    rate: _Rate = Field(
        0.0, description="previews a second that one client may ask for; 0: as many as it likes"
    )
    burst: _AtLeastOne = Field(
        100, description="previews that it may ask for at once, after a while without"
    )
    keys: _Keys = Field(
        (), description="keys that sign addresses (docs/signing.md); empty: none is signed"
    )
    sizes: _Sizes = Field((), description="the only sizes of previews, dpr included; empty: any")
    transforms: _Transforms = Field(
        (), description="the only previews that may be asked for; empty: any"
    )
    allow_origin: _Origin = Field(
        "", description="Access-Control-Allow-Origin of previews; empty: none"
    )
    resource_policy: Annotated[
        Literal["same-origin", "same-site", "cross-origin", ""],
        Allowed("same-origin, same-site, cross-origin or empty"),
    ] = Field("cross-origin", description="Cross-Origin-Resource-Policy of previews; empty: none")
    fallback: _Source = Field(
        "", description="picture in the place of errors, such as https://h/x.png; empty: none"
    )
    fallback_status: Annotated[Literal["error", "200"], Allowed("error or 200")] = Field(
        "error", description="status of such an answer: the error's own, or 200"
    )
    purge_token: _Text = Field(
        "", description="secret of those who may purge the cache over HTTP; empty: nobody may"
    )
    reload_networks: _Networks = Field(
        (),
        description="networks whose clients may have the origin asked by Cache-Control: no-cache",
    )
    playground: _Switch = Field(
        default=True, description="the page at / that shows what micropic does, and explain=1"
    )
    max_in_flight: _AtLeastOne = Field(
        256, description="previews being made at once; one more is a 503"
    )


class SourceSettings(_Section):
    """Where pictures may come from."""

    default_scheme: Annotated[Literal["http", "https"], Allowed("http or https")] = Field(
        "http", description="scheme of a source that names none"
    )
    timeout: _Seconds = Field(5.0, description="time for a source, redirects and all")
    connect_timeout: _Seconds = Field(2.0, description="time to resolve a name and connect")
    max_bytes: _Bytes = Field(ByteSize(32 * 1024**2), description="largest source")
    max_redirects: _Count = Field(10, description="redirects that are followed")
    max_per_origin: _AtLeastOne = Field(
        64, description="requests at one origin at a time; others wait within their time"
    )
    allow_hosts: _Names = Field((), description="the only hosts to fetch from; empty: any")
    deny_hosts: _Names = Field((), description="hosts that are never fetched from")
    allow_ports: _Ports = Field(
        (), description="the only ports to fetch from; empty: any but those of other protocols"
    )
    allow_networks: _Networks = Field(
        (), description="private, local or reserved networks to fetch from all the same"
    )
    forward_headers: _Headers = Field(
        ("all",), description="the client's header fields that reach the origin"
    )
    credential_hosts: _Names = Field(
        (), description="hosts that get the client's Authorization and Cookie"
    )
    nameservers: _Addresses = Field((), description="DNS servers to ask; empty: the system's")


class RenderSettings(_Section):
    """The render processes."""

    slots: _Count = Field(0, description="render processes; 0: one more than cores")
    timeout: _Seconds = Field(5.0, description="time for one render, then its process is killed")
    max_pixels: _AtLeastOne = Field(
        50_000_000, description="largest picture that is decoded; of an animation, all frames"
    )
    max_avif_pixels: _AtLeastOne = Field(
        16_000_000, description="largest AVIF picture, which takes the most memory"
    )
    max_frames: _AtLeastOne = Field(
        100, description="frames that are kept of an animation; what comes after is left out"
    )
    max_memory: _Bytes = Field(ByteSize(1024**3), description="address space of a render process")
    sandbox: _Switch = Field(
        True,  # noqa: FBT003 # the default
        description="whether render processes lack network, files and commands (docs/sandbox.md)",
    )


class PreviewerSettings(_Section):
    """How previews are made."""

    quality: _Quality = Field(80, description="quality where the address gives none")
    avif_quality: _Quality = Field(
        65, description="the same for AVIF, whose scale is another one (docs/engine.md)"
    )
    max_rate: _Rate = Field(
        0.0, description="requests a second that one previewer takes; 0: as many as it can"
    )


class CacheSettings(_Section):
    """The previews and sources that are kept."""

    url: Annotated[
        str,
        AfterValidator(_cache_url),
        Allowed(
            "file:///directory, memory://, grpc://host:port, redis://host:port, s3://bucket/prefix "
            "or empty"
        ),
    ] = Field("", description="where previews are kept (docs/backends.md); empty: cache.dirname")
    dirname: Annotated[Path, Allowed("a directory")] = Field(
        Path("~/.cache/micropic"), description="directory of the cache"
    )
    size: _Bytes = Field(ByteSize(512 * 1024**2), description="what the cache may take on disk")
    entries: _Count = Field(0, description="how many previews the cache may hold; 0: no limit")
    policy: Annotated[Literal["s3-fifo", "lru"], Allowed("s3-fifo or lru")] = Field(
        "s3-fifo", description="what goes first when the disk's share is full (docs/eviction.md)"
    )
    sources: _Share = Field(
        0.5, description="share of cache.size for sources, so that another size needs no fetch"
    )
    min_age: _Age = Field(0.0, description="least time for which what is kept counts as fresh")
    max_age: _Age = Field(
        86_400.0, description="the most, and what counts where the origin says nothing"
    )
    stale_while_revalidate: _Age = Field(
        60.0, description="for how long what is stale is answered with while it is renewed"
    )
    stale_if_error: _Age = Field(
        86_400.0, description="for how long what is stale is answered with if the origin fails"
    )
    negative_age: Annotated[float, Field(ge=0, le=3600), Allowed("seconds, up to 3600")] = Field(
        10.0, description="for how long a missing or broken source is not asked for again"
    )
    timeout: _Seconds = Field(0.5, description="time for one call to redis:// or s3://")
    memory: _Bytes = Field(
        ByteSize(64 * 1024**2), description="part of it that is kept in memory, too; 0: none"
    )


class GrpcSettings(_Section):
    """The shared cache."""

    host: _Text = Field(
        "0.0.0.0",  # noqa: S104 # it is a server
        description="address of the shared cache: it listens there, all others connect to it",
    )
    port: _Port = Field(50051, description="port of the shared cache")
    timeout: _Seconds = Field(0.05, description="time for one look in the shared cache")


class AmqpSettings(_Section):
    """The broker between proxies and previewers."""

    protocol: Annotated[Literal["amqp", "amqps"], Allowed("amqp or amqps")] = Field(
        "amqp", description="amqps is encrypted"
    )
    user: _Text = Field("guest", description="user at RabbitMQ")
    password: _Text = Field("guest", description="the user's password")
    host: _Text = Field("localhost", description="address of RabbitMQ")
    port: _Port = Field(5672, description="port of RabbitMQ")
    queue: _Text = Field("micropic.previews", description="queue of the requests")
    queue_length: _AtLeastOne = Field(1000, description="requests that may wait; one more is a 503")
    prefetch: _Count = Field(
        0, description="requests that a previewer takes at once; 0: four more than render.slots"
    )


class LogSettings(_Section):
    """What it tells."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
        Allowed("debug, info, warning or error"),
    ] = Field("info", description="least level that is logged; requests are info")
    file: _Text = Field("", description="file to log to; empty: standard error")


class HealthSettings(_Section):
    """The port for those who watch it."""

    host: _Text = Field("0.0.0.0", description="address for /healthz and /readyz")  # noqa: S104
    port: _Port = Field(8000, description="port for /healthz and /readyz")


class Settings(_Section):
    """All sections."""

    proxy: ProxySettings = ProxySettings()
    source: SourceSettings = SourceSettings()
    render: RenderSettings = RenderSettings()
    previewer: PreviewerSettings = PreviewerSettings()
    cache: CacheSettings = CacheSettings()
    grpc: GrpcSettings = GrpcSettings()
    amqp: AmqpSettings = AmqpSettings()
    log: LogSettings = LogSettings()
    health: HealthSettings = HealthSettings()


class SettingsError(Exception):
    """A setting is wrong; the message is one line that says which, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting as people meet it."""

    section: str
    key: str
    default: str
    allowed: str
    description: str
    secret: bool = False

    @property
    def name(self) -> str:
        """As in `proxy.port`."""
        return f"{self.section}.{self.key}"

    @property
    def environment(self) -> str:
        """As in `PROXY_PORT`."""
        return f"{self.section}_{self.key}".upper()

    @property
    def flag(self) -> str:
        """As in `--proxy-port`."""
        return f"--{self.section}-{self.key}".replace("_", "-")


def knobs() -> Iterator[Knob]:
    """Give every setting, in the order of their declaration."""
    for section, section_field in Settings.model_fields.items():
        defaults = section_field.default
        for key, field in type(defaults).model_fields.items():
            allowed = next(item for item in field.metadata if isinstance(item, Allowed))
            default = _shown(getattr(defaults, key))
            description = field.description or ""
            yield Knob(section, key, default, allowed.text, description, allowed.secret)


def load(
    config: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """Read the settings; `flags` are by the setting's name, `proxy.port`.

    An empty variable of the environment counts as none. The second part of the answer is what
    the operator should be told.

    Raises:
        SettingsError: a value is not allowed, or the file cannot be read.

    """
    layers: list[_Layer] = [_read_file(config) if config else {}, {}, {}]
    for knob in knobs():
        if value := environ.get(knob.environment):
            layers[1][knob.name] = (value, f"given by {knob.environment}")
        if knob.name in flags:
            layers[2][knob.name] = (flags[knob.name], f"given by {knob.flag}")
    notes = list(filter(None, dict.fromkeys(map(_count_for_size, layers))))
    given = layers[0] | layers[1] | layers[2]
    values: dict[str, dict[str, object]] = {}
    for name, (given_value, _) in given.items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = given_value
    try:
        return Settings.model_validate(values), notes
    except ValidationError as error:
        explanation = _explain(error, given)
        raise SettingsError(" ".join(explanation.split())) from None


def cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _read_file(path: Path) -> _Layer:
    try:
        sections = yaml.safe_load(path.read_text()) or {}
        return {
            f"{section}.{key}": (value, f"in {path}")
            for section, values in sections.items()
            for key, value in (values or {}).items()
        }
    except AttributeError:
        reason = "it must hold sections with settings, such as proxy: {port: 8080}"
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
    msg = f"The settings file {path} cannot be read: {reason}"
    raise SettingsError(msg)


def _count_for_size(layer: _Layer) -> str | None:
    """Take a bare number in cache.size for a count of entries, as the first users wrote it."""
    size, where = layer.get("cache.size", ("", ""))
    if isinstance(size, bool) or not _BARE_NUMBER.fullmatch(str(size)):
        return None
    del layer["cache.size"]
    layer.setdefault("cache.entries", (size, where))
    return f"CACHE_SIZE={size} has no unit: it is taken for CACHE_ENTRIES, a count of previews"


def _explain(error: ValidationError, given: _Layer) -> str:
    """Say what the first thing wrong is."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    where = next(where for key, (_, where) in given.items() if f"{key}.".startswith(f"{name}."))
    knob = next((knob for knob in knobs() if knob.name == name), None)
    if knob is None:
        known = ", ".join(knob.name for knob in knobs())
        return f"There is no setting {name!a}, {where}. The settings are {known}."
    value = "***" if knob.secret else _PASSWORD.sub("//***@", repr(first["input"]))
    return f"The setting {name} is {value}, {where}; allowed: {knob.allowed}."


def _shown(value: object) -> str:
    """Write a default the way it would be given."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
