"""The command line."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, NoReturn

import orjson
import structlog
import typer
import uvloop

from micropic import __version__, settings
from micropic.adapters.cache_directory import CacheDirectoryInUseError
from micropic.adapters.source_lists import SourceListError, read_sources
from micropic.domain import signing, urls
from micropic.domain.errors import BadRequest, MicropicError
from micropic.domain.model import Size
from micropic.domain.options import Defaults
from micropic.imaging import extras
from micropic.services import logs, operating
from micropic.services.warmer import Plan
from micropic.wiring import embedded
from micropic.wiring.extras import needing

log = structlog.get_logger()

_KEY_HELP = "What signs addresses; of several joined by commas the first."

app = typer.Typer(
    name="micropic",
    help="Previews of pictures that live on other people's servers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 # typer calls it
    if wanted:
        typer.echo(f"micropic {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--config`, a flag for every setting, and what else it takes itself."""
    knobs = {f"{knob.section}_{knob.key}": knob for knob in settings.knobs()}
    _, _, *own = inspect.signature(command, eval_str=True).parameters.values()

    def run(ctx: typer.Context, config: Path | None, **values: Any) -> None:
        if ctx.invoked_subcommand is not None:
            return  # it has options of its own
        others = {parameter.name: values.pop(parameter.name) for parameter in own}
        flags = {knobs[name].name: value for name, value in values.items() if value is not None}
        try:
            loaded, notes = settings.load(config, os.environ, flags)
        except settings.SettingsError as error:
            _fail(str(error))
        command(loaded, notes, **others)

    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *own,
        _option("config", Path | None, "--config", "FILE", "YAML file with settings."),
        *(
            _option(name, str | None, knob.flag, knob.section.upper(), _help(knob))
            for name, knob in knobs.items()
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _option(name: str, kind: Any, flag: str, metavar: str, text: str) -> inspect.Parameter:
    option = typer.Option(flag, metavar=metavar, help=text, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _help(knob: settings.Knob) -> str:
    return (
        f"{knob.description[0].upper()}{knob.description[1:]}: {knob.allowed}. "
        f"[default: {knob.default or 'none'}; env: {knob.environment}]"
    )


@app.command()
@_with_settings
def serve(loaded: settings.Settings, notes: list[str]) -> None:
    """Run the embedded service: one process that answers, fetches, renders and caches."""
    _run(embedded.run_embedded, loaded, notes)


@app.command()
@_with_settings
def proxy(loaded: settings.Settings, notes: list[str]) -> None:
    """Run the HTTP service of the distributed shape, which has previewers do the work."""
    _run(_distributed("proxy").run_proxy, loaded, notes)


@app.command()
@_with_settings
def previewer(loaded: settings.Settings, notes: list[str]) -> None:
    """Run a worker of the distributed shape: it takes requests from RabbitMQ and makes previews."""
    _run(_distributed("previewer").run_previewer, loaded, notes)


@app.command()
@_with_settings
def doctor(
    loaded: settings.Settings,
    notes: list[str],
    *,
    service: Annotated[
        Literal["serve", "proxy", "previewer", "cache"],
        typer.Option("--for", help="The service that is to run here."),
    ] = "serve",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check whether a service can run here with these settings, and say what to do if not."""
    from micropic.wiring.doctor import examine  # noqa: PLC0415 # codecs

    logs.configure("critical", "")  # the checks tell what they find
    findings = asyncio.run(examine(loaded, notes, service))
    if json:
        typer.echo(orjson.dumps(findings).decode())
    else:
        for finding in findings:
            typer.echo(f"{finding.status:8} {finding.check:11} {finding.detail}")
            if finding.advice:
                typer.echo(f"{'':20} -> {finding.advice}")
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(1)


cache_app = typer.Typer(rich_markup_mode=None, add_completion=False)
app.add_typer(cache_app, name="cache")


@cache_app.callback(invoke_without_command=True)
@_with_settings
def cache(loaded: settings.Settings, notes: list[str]) -> None:
    """Run the cache that proxies and previewers share, or tell how full one is (stats)."""
    _run(_distributed("cache").run_cache, loaded, notes)


@cache_app.command()
def stats(
    at: Annotated[
        str, typer.Option(help="The health port of `micropic serve` or `micropic cache`.")
    ] = "http://localhost:8000",
    *,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell how full the cache of a running service is, and what it was good for."""
    try:
        levels = asyncio.run(operating.cache_usage(at))
    except operating.ServiceError as error:
        _fail(str(error))
    if json:
        typer.echo(orjson.dumps(levels).decode())
        return
    for name, usage in levels.items():
        asked = usage["hits"] + usage["misses"]
        unused = usage["unused"]
        ratio = f"{usage['hits'] / asked:.0%}" if asked else "-"
        typer.echo(
            f"{name}: {usage['entries']} entries, {usage['bytes'] / 2**20:.1f} of "
            f"{usage['max_bytes'] / 2**20:.1f} MiB, hit ratio {ratio} of {asked}, "
            f"{usage['evictions']} evicted"
            + (f", the oldest unused for {unused:.0f} s" if unused is not None else "")
        )


@app.command()
def purge(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Addresses of pictures to forget.")
    ] = None,
    *,
    prefix: Annotated[
        list[str] | None, typer.Option(help="Forget all whose address begins so; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget all there is.")] = False,
    at: Annotated[str, typer.Option(help="The service.")] = "http://localhost:8080",
    token: Annotated[
        str, typer.Option(envvar="PROXY_PURGE_TOKEN", help="Its proxy.purge_token.")
    ] = "",
) -> None:
    """Have a running service forget pictures, with every preview of them."""
    if not (sources or prefix or everything):
        _fail("Say what to purge: addresses, --prefix or --all.")
    asked = {"sources": sources or [], "prefixes": prefix or [], "all": everything}
    try:
        purged = asyncio.run(operating.purge(at, token, asked))
    except operating.ServiceError as error:
        _fail(str(error))
    typer.echo(f"{purged} entries purged")


@app.command()
def sign(
    targets: Annotated[
        list[str], typer.Argument(help="Paths, with their queries, such as /fill/300/200/a.org/x.")
    ],
    *,
    key: Annotated[str, typer.Option(envvar="PROXY_KEYS", help=_KEY_HELP)] = "",
    expires: Annotated[
        int | None, typer.Option(min=1, help="Seconds from now, after which they are of no use.")
    ] = None,
) -> None:
    """Sign addresses of previews, for a service with proxy.keys."""
    key = key.partition(",")[0].strip()
    if not key:
        _fail("Give a key, by --key or PROXY_KEYS.")
    for given in targets:
        target = signing.as_sent(given)
        path, _, query = target.partition("?")
        try:
            address = urls.parse_path(path.encode(), query.encode(), urls.DEFAULT)
        except BadRequest as error:
            _fail(f"{given}: {error.detail}")
        if expires is not None:
            if address.expires is not None:
                _fail(f"{given}: It has an exp= of its own.")
            target = urls.with_option(target, "exp", int(time.time()) + expires)
        typer.echo(signing.sign(target, key))


def _distributed(command: str) -> ModuleType:
    try:
        with needing("distributed", f"the command {command}"):
            # gRPC and AMQP, which `serve` does without.
            from micropic.wiring import distributed  # noqa: PLC0415
    except settings.SettingsError as error:
        _fail(str(error))
    return distributed


def _run(
    service: Callable[[settings.Settings], Coroutine[None, None, None]],
    loaded: settings.Settings,
    notes: list[str],
) -> None:
    try:
        logs.configure(loaded.log.level, loaded.log.file, mask_queries=not loaded.log.queries)
        for note in notes:
            log.warning("setting", detail=note)
        uvloop.run(service(loaded))
    except (OSError, CacheDirectoryInUseError, settings.SettingsError) as error:
        _fail(str(error))


@app.command()
def render(  # noqa: PLR0913 # each one a flag
    picture: Annotated[Path, typer.Argument(help="The picture.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the preview goes.")],
    size: Annotated[str, typer.Option(help="Width and height, such as 300x200.")] = "300x200",
    mode: Annotated[str, typer.Option(help="fill: cover the box; fit: inside it.")] = "fill",
    gravity: Annotated[
        str, typer.Option(help="What fill keeps: smart, face, center, a compass point or x:y.")
    ] = "smart",
    quality: Annotated[int, typer.Option(help="Quality, 1 to 100.")] = 80,
    options: Annotated[str, typer.Option(help="More options, such as f=webp,blur=2.")] = "",
    explain: Annotated[
        Path | None, typer.Option(help="Where a drawing of how the cut was chosen goes.")
    ] = None,
) -> None:
    """Render one picture from a file, as the service would, but with no bound on an SVG's time."""
    # Codecs, which the service itself does without.
    from micropic.imaging import engine  # noqa: PLC0415

    if not re.fullmatch("[0-9]+x[0-9]+", size):
        _fail(f"The size must be two numbers such as 300x200, not {size!r}.")
    width, height = size.split("x")
    segment = ",".join(filter(None, [f"g={gravity}", f"q={quality}", options]))
    path = f"/{mode}/{width}/{height}/{segment}/sample:file"
    try:
        grammar = replace(urls.DEFAULT, defaults=Defaults(faces=extras.has_faces()))
        transform = urls.parse_path(path.encode(), b"", grammar).transform
        data = picture.read_bytes()
        preview = engine.render(data, transform)
        output.write_bytes(preview.body)
        if explain is not None:
            drawing = engine.render(data, replace(transform, explain=True))
            explain.write_bytes(drawing.body)
    except (BadRequest, MicropicError) as error:
        _fail(error.detail)
    except OSError as error:
        _fail(str(error))
    typer.echo(f"{output}: {preview.size.width}x{preview.size.height}, {len(preview.body)} bytes")


@app.command()
def warm(  # noqa: PLR0913 # each one a flag
    sources: Annotated[
        str,
        typer.Argument(
            help="A file with a source a line, - for standard input, or the URL of a sitemap or "
            "of a page with links, such as the listing of a directory."
        ),
    ],
    *,
    proxy: Annotated[
        str, typer.Option(help="Where to ask, with the mode and, if wished, no slash at the end.")
    ] = "http://localhost:8080/fill",
    sizes: Annotated[
        str, typer.Option(help="Sizes joined by commas: 300 for 300x300, or 300x200.")
    ] = "50,100,200,300,500,1024,2000",
    number: Annotated[
        int | None,
        typer.Option(min=1, help="Requests, drawn at random. [default: each source in each size]"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Requests at a time.")] = 8,
    seed: Annotated[int, typer.Option(help="Where the drawing begins.")] = 0,
    key: Annotated[str, typer.Option(envvar="PROXY_KEYS", help=_KEY_HELP)] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Fill the cache: ask a proxy for previews, and sum up what came back."""
    from micropic.services import warm_report  # noqa: PLC0415 # what draws in the terminal

    try:
        asked = [_size(text) for text in sizes.split(",")]
        listed = asyncio.run(read_sources(sources))
    except (ValueError, SourceListError) as error:
        _fail(str(error))
    plan = Plan(
        proxy=proxy.rstrip("/"), key=key.partition(",")[0].strip(), sources=listed, sizes=asked,
        number=number, seed=seed, workers=workers,
    )  # fmt: skip
    tally = warm_report.run(plan, quiet=json)
    typer.echo(orjson.dumps(tally.summary()).decode() if json else warm_report.table(tally))
    if tally.errors:
        raise typer.Exit(1)


def _size(text: str) -> Size:
    width, _, height = text.strip().partition("x")
    try:
        size = Size(int(width), int(height or width))
    except ValueError:
        size = Size(0, 0)
    if min(size) < 1:
        msg = f"A size must be a number such as 300, or two such as 300x200, not {text!r}."
        raise ValueError(msg)
    return size


def _fail(message: str) -> NoReturn:
    print(f"micropic: {message}", file=sys.stderr)  # noqa: T201 # it is a command line
    raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()
