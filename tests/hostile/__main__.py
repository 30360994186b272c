"""Run the table of bad origins against both shapes, and print it; 1 if a row fails."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.hostile import table
from tests.support.cluster import Cluster
from tests.support.rabbitmq import RabbitMQServer
from tests.support.service import Service

_WIDTH = 160
"""Characters of a line, where the output is no terminal."""


def main() -> int:
    """Give 0 if every row came out as it should."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        names = stack.enter_context(table.names())
        settings = {**table.SETTINGS, "SOURCE_NAMESERVERS": names.authority}
        embedded = Service(_made(directory / "embedded"), **settings)
        stack.callback(embedded.close)
        rabbitmq = RabbitMQServer(_made(directory / "rabbitmq"))
        stack.callback(rabbitmq.close)
        distributed = Cluster(directory, rabbitmq.start(), workers=2, **settings)
        stack.callback(distributed.close)
        shapes = {"embedded": embedded, "distributed": distributed}
        told = {shape: table.run(service.start()) for shape, service in shapes.items()}
    failed = _print(told)
    print(f"{len(table.ROWS)} rows in {len(told)} shapes, {failed} not as they should be")  # noqa: T201 # for whoever runs it
    return 1 if failed else 0


def _print(told: dict[str, dict[str, str]]) -> int:
    """Print all rows; give how many answers are not what they should be."""
    shown = Table("name", "what the origin does", "expected", *told)
    failed = 0
    for name, case in table.ROWS.items():
        answers = [each[name] for each in told.values()]
        failed += sum(answer != case.expected for answer in answers)
        marked = ["ok" if each == case.expected else f"[bold red]{each}" for each in answers]
        shown.add_row(_plain(name), _plain(case.does), case.expected, *marked)
    console = Console(markup=True, width=None if sys.stdout.isatty() else _WIDTH)
    console.print(shown)
    return failed


def _plain(text: str) -> str:
    """Keep brackets from being read as markup."""
    return text.replace("[", r"\[")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


if __name__ == "__main__":
    sys.exit(main())
