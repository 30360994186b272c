"""`micropic warm`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
import typer

from micropic.adapters.source_lists import SourceListError, read_sources
from micropic.cli.failure import fail
from micropic.cli.signing_key import KEY_HELP, first_key
from micropic.domain.model import Size
from micropic.services import warm_report
from micropic.services.warmer import Plan


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
    key: Annotated[str, typer.Option(envvar="PROXY_KEYS", help=KEY_HELP)] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Fill the cache: ask a proxy for previews, and sum up what came back."""
    try:
        asked = [_size(text) for text in sizes.split(",")]
        listed = asyncio.run(read_sources(sources))
    except (ValueError, SourceListError) as error:
        fail(str(error))
    plan = Plan(
        proxy=proxy.rstrip("/"), key=first_key(key), sources=listed, sizes=asked,
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
