"""What the warmer shows: a bar or plain lines while it runs, a table at the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from micropic.services.warmer import NO_ANSWER, Note, Plan, Tally, warm

_LINES = 10
"""How many lines tell of the progress where there is no terminal."""


def run(plan: Plan, *, quiet: bool) -> Tally:
    """Do what is planned, and show on standard error how far it has come."""
    if quiet:
        return asyncio.run(warm(plan, lambda _: None))
    console = Console(stderr=True)
    with _bar(console, plan) if console.is_terminal else _lines(plan) as note:
        return asyncio.run(warm(plan, note))


def table(tally: Tally) -> str:
    """Give the summary for people."""
    summary = Table("status", "requests", "hits", "p50 ms", "p95 ms", "p99 ms", box=None)
    for column in summary.columns[1:]:
        column.justify = "right"
    for status, figures in tally.by_status().items():
        name = "no answer" if status == NO_ANSWER else str(status)
        times = (f"{1000 * time:.1f}" for time in (figures.p50, figures.p95, figures.p99))
        summary.add_row(name, str(figures.count), str(figures.hits), *times)
    text = StringIO()
    Console(file=text, width=80).print(summary)
    return text.getvalue() + f"{_progress(tally)}, {tally.elapsed:.1f} s"


def _progress(tally: Tally) -> str:
    return f"{tally.count} requests, {tally.rate:.0f}/s, {tally.hits} hits, {tally.errors} errors"


@contextmanager
def _bar(console: Console, plan: Plan) -> Iterator[Note]:
    columns = (
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(plan))
        yield lambda tally: progress.update(
            task, completed=tally.count, description=_progress(tally)
        )


@contextmanager
def _lines(plan: Plan) -> Iterator[Note]:
    every = max(1, len(plan) // _LINES)

    def note(tally: Tally) -> None:
        if tally.count % every == 0:
            print(f"{_progress(tally)} of {len(plan)}", file=sys.stderr)  # noqa: T201

    yield note
