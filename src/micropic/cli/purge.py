"""`micropic purge`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from micropic.cli.failure import fail
from micropic.services import operating


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
        fail("Say what to purge: addresses, --prefix or --all.")
    asked = {"sources": sources or [], "prefixes": prefix or [], "all": everything}
    try:
        purged = asyncio.run(operating.purge(at, token, asked))
    except operating.ServiceError as error:
        fail(str(error))
    typer.echo(f"{purged} entries purged")
