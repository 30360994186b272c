"""Every knob, declared once: its name, default, bounds and meaning.

The names follow from the declaration: `proxy.port` in words, `proxy: {port: ...}` in YAML,
`PROXY_PORT` in the environment, `--proxy-port` on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field

from micropic.settings import kinds


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProxySettings(_Section):
    """The HTTP service."""

    host: kinds.Text = Field("0.0.0.0", description="address to listen on")  # noqa: S104 # it is a server
    port: kinds.Port = Field(8080, description="port to listen on")
    timeout: kinds.Seconds = Field(5.0, description="time for a whole request")
    max_side: Annotated[
        int, Field(ge=1, le=16384), kinds.Allowed("a whole number of pixels from 1 to 16384")
    ] = Field(8192, description="longest side of a preview")
    max_pixels: kinds.AtLeastOne = Field(
        33_554_432, description="most pixels that fill answers; fit has no more than its source"
    )
    prefix: kinds.Prefix = Field(
        "", description="what stands before every path, as /img behind nginx"
    )
    trusted: kinds.Networks = Field(
        (), description="proxies in front whose word on the client's address is believed"
    )
    client_header: kinds.Header = Field(
        "x-forwarded-for", description="where they say it; forwarded is RFC 7239's"
    )
    rate: kinds.Rate = Field(
        0.0, description="previews a second that one client may ask for; 0: as many as it likes"
    )
    burst: kinds.AtLeastOne = Field(
        100, description="previews that it may ask for at once, after a while without"
    )
    keys: kinds.Keys = Field(
        (), description="keys that sign addresses (docs/signing.md); empty: none is signed"
    )
    sizes: kinds.Sizes = Field(
        (), description="the only sizes of previews, dpr included; empty: any"
    )
    transforms: kinds.Transforms = Field(
        (), description="the only previews that may be asked for; empty: any"
    )
    allow_origin: kinds.Origin = Field(
        "", description="Access-Control-Allow-Origin of previews; empty: none"
    )
    resource_policy: Annotated[
        Literal["same-origin", "same-site", "cross-origin", ""],
        kinds.Allowed("same-origin, same-site, cross-origin or empty"),
    ] = Field("cross-origin", description="Cross-Origin-Resource-Policy of previews; empty: none")
    fallback: kinds.Source = Field(
        "", description="picture in the place of errors, such as https://h/x.png; empty: none"
    )
    fallback_status: Annotated[Literal["error", "200"], kinds.Allowed("error or 200")] = Field(
        "error", description="status of such an answer: the error's own, or 200"
    )
    purge_token: kinds.Text = Field(
        "", description="secret of those who may purge the cache over HTTP; empty: nobody may"
    )
    reload_networks: kinds.Networks = Field(
        (),
        description="networks whose clients may have the origin asked by Cache-Control: no-cache",
    )
    playground: kinds.Switch = Field(
        default=True, description="the page at / that shows what micropic does, and explain=1"
    )
    max_in_flight: kinds.AtLeastOne = Field(
        1024, description="previews being made at once; one more is a 503"
    )
    max_wait: kinds.Seconds = Field(
        2.5,
        description="time that a burst may wait in a queue (docs/overload.md); what would wait "
        "longer is a 503",
    )


class SourceSettings(_Section):
    """Where pictures may come from."""

    default_scheme: Annotated[Literal["http", "https"], kinds.Allowed("http or https")] = Field(
        "http", description="scheme of a source that names none"
    )
    timeout: kinds.Seconds = Field(5.0, description="time for a source, redirects and all")
    connect_timeout: kinds.Seconds = Field(2.0, description="time to resolve a name and connect")
    read_timeout: kinds.Seconds = Field(
        5.0, description="longest silence of an origin, before its first byte or after"
    )
    max_bytes: kinds.Bytes = Field(ByteSize(32 * 1024**2), description="largest source")
    max_redirects: kinds.Count = Field(10, description="redirects that are followed")
    max_per_origin: kinds.AtLeastOne = Field(
        64, description="requests at one origin at a time; three times as many wait, more are a 503"
    )
    max_in_flight: kinds.AtLeastOne = Field(
        512, description="sources being fetched at once; others wait"
    )
    max_in_flight_bytes: kinds.Bytes = Field(
        ByteSize(256 * 1024**2), description="sources in memory at once; what is more is a 503"
    )
    allow_hosts: kinds.Names = Field((), description="the only hosts to fetch from; empty: any")
    deny_hosts: kinds.Names = Field((), description="hosts that are never fetched from")
    allow_ports: kinds.Ports = Field(
        (), description="the only ports to fetch from; empty: any but those of other protocols"
    )
    allow_networks: kinds.Networks = Field(
        (), description="private, local or reserved networks to fetch from all the same"
    )
    forward_headers: kinds.Headers = Field(
        ("all",), description="the client's header fields that reach the origin"
    )
    credential_hosts: kinds.Names = Field(
        (), description="hosts that get the client's Authorization and Cookie"
    )
    nameservers: kinds.Addresses = Field((), description="DNS servers to ask; empty: the system's")


class RenderSettings(_Section):
    """The render processes."""

    slots: kinds.Count = Field(0, description="render processes; 0: one more than cores")
    timeout: kinds.Seconds = Field(
        5.0, description="time for one render, then its process is killed"
    )
    max_pixels: kinds.AtLeastOne = Field(
        50_000_000, description="largest picture that is decoded; of an animation, all frames"
    )
    max_avif_pixels: kinds.AtLeastOne = Field(
        16_000_000, description="largest AVIF picture, which takes the most memory"
    )
    max_frames: kinds.AtLeastOne = Field(
        100, description="frames that are kept of an animation; what comes after is left out"
    )
    max_drawing_time: kinds.Seconds = Field(
        0.75, description="CPU time for drawing an SVG, then it is too complex"
    )
    max_cost: kinds.Seconds = Field(
        4.0,
        description="estimated CPU time of one render on the reference core (docs/overload.md); "
        "what would take more is a 413",
    )
    max_memory: kinds.Bytes = Field(
        ByteSize(1024**3), description="address space of a render process"
    )
    sandbox: kinds.Switch = Field(
        True,  # noqa: FBT003 # the default
        description="whether render processes lack network, files and commands (docs/sandbox.md)",
    )
    smart_faces: kinds.Switch = Field(
        True,  # noqa: FBT003 # the default
        description="whether smart looks for faces, where micropic[faces] is installed",
    )


class PreviewerSettings(_Section):
    """How previews are made."""

    quality: kinds.Quality = Field(80, description="quality where the address gives none")
    avif_quality: kinds.Quality = Field(
        65, description="the same for AVIF, whose scale is another one (docs/engine.md)"
    )
    max_rate: kinds.Rate = Field(
        0.0, description="requests a second that one previewer takes; 0: as many as it can"
    )


class CacheSettings(_Section):
    """The previews and sources that are kept."""

    url: Annotated[
        str,
        AfterValidator(kinds.cache_url),
        kinds.Allowed(
            "file:///directory, memory://, grpc://host:port, redis://host:port, s3://bucket/prefix "
            "or empty"
        ),
    ] = Field("", description="where previews are kept (docs/backends.md); empty: cache.dirname")
    dirname: Annotated[Path, kinds.Allowed("a directory")] = Field(
        Path("~/.cache/micropic"), description="directory of the cache"
    )
    size: kinds.Bytes = Field(
        ByteSize(512 * 1024**2), description="what the cache may take on disk"
    )
    entries: kinds.Count = Field(0, description="how many previews the cache may hold; 0: no limit")
    policy: Annotated[Literal["s3-fifo", "lru"], kinds.Allowed("s3-fifo or lru")] = Field(
        "s3-fifo", description="what goes first when the disk's share is full (docs/eviction.md)"
    )
    sources: kinds.Share = Field(
        0.5, description="share of cache.size for sources, so that another size needs no fetch"
    )
    min_age: kinds.Age = Field(0.0, description="least time for which what is kept counts as fresh")
    max_age: kinds.Age = Field(
        86_400.0, description="the most, and what counts where the origin says nothing"
    )
    stale_while_revalidate: kinds.Age = Field(
        60.0, description="for how long what is stale is answered with while it is renewed"
    )
    stale_if_error: kinds.Age = Field(
        86_400.0, description="for how long what is stale is answered with if the origin fails"
    )
    negative_age: Annotated[float, Field(ge=0, le=3600), kinds.Allowed("seconds, up to 3600")] = (
        Field(10.0, description="for how long a missing or broken source is not asked for again")
    )
    timeout: kinds.Seconds = Field(0.5, description="time for one call to redis:// or s3://")
    memory: kinds.Bytes = Field(
        ByteSize(64 * 1024**2), description="part of it that is kept in memory, too; 0: none"
    )


class GrpcSettings(_Section):
    """The shared cache."""

    host: kinds.Text = Field(
        "0.0.0.0",  # noqa: S104 # it is a server
        description="address of the shared cache: it listens there, all others connect to it",
    )
    port: kinds.Port = Field(50051, description="port of the shared cache")
    timeout: kinds.Seconds = Field(0.05, description="time for one look in the shared cache")


class AmqpSettings(_Section):
    """The broker between proxies and previewers."""

    protocol: Annotated[Literal["amqp", "amqps"], kinds.Allowed("amqp or amqps")] = Field(
        "amqp", description="amqps is encrypted"
    )
    user: kinds.Text = Field("guest", description="user at RabbitMQ")
    password: kinds.Text = Field("guest", description="the user's password")
    host: kinds.Text = Field("localhost", description="address of RabbitMQ")
    port: kinds.Port = Field(5672, description="port of RabbitMQ")
    queue: kinds.Text = Field("micropic.previews", description="queue of the requests")
    queue_length: kinds.AtLeastOne = Field(
        1000, description="requests that may wait; one more is a 503"
    )
    prefetch: kinds.Count = Field(
        0,
        description="requests that a previewer takes at once; 0: four more than render.slots, and "
        "more while they only wait for their origins",
    )


class LogSettings(_Section):
    """What it tells."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
        kinds.Allowed("debug, info, warning or error"),
    ] = Field("info", description="least level that is logged; requests are info")
    file: kinds.Text = Field("", description="file to log to; empty: standard error")
    queries: kinds.Switch = Field(
        default=False, description="log the values in a source's query; off: `token=***`"
    )


class HealthSettings(_Section):
    """The port for those who watch it."""

    host: kinds.Text = Field("0.0.0.0", description="address for /healthz and /readyz")  # noqa: S104
    port: kinds.Port = Field(8000, description="port for /healthz and /readyz")


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
