"""`micropic doctor`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import orjson
import typer

from micropic.cli.setting_flags import with_settings
from micropic.services import logs
from micropic.settings import Settings
from micropic.wiring.doctor import examine


@with_settings
def doctor(
    loaded: Settings,
    notes: list[str],
    *,
    service: Annotated[
        Literal["serve", "proxy", "previewer", "cache"],
        typer.Option("--for", help="The service that is to run here."),
    ] = "serve",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check whether a service can run here with these settings, and say what to do if not."""
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
