"""`micropic cache` and `micropic cache stats`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
import typer

from micropic.cli.distributed import services_of
from micropic.cli.failure import fail
from micropic.cli.running import run
from micropic.cli.setting_flags import with_settings
from micropic.services import operating
from micropic.settings import Settings

app = typer.Typer(name="cache", rich_markup_mode=None, add_completion=False)


@app.callback(invoke_without_command=True)
@with_settings
def cache(loaded: Settings, notes: list[str]) -> None:
    """Run the cache that proxies and previewers share, or tell how full one is (stats)."""
    run(services_of("cache").run_cache, loaded, notes)


@app.command()
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
        fail(str(error))
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
