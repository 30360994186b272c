"""How a command fails."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer


def fail(message: str) -> NoReturn:
    """Print one line to standard error and exit with 1."""
    print(f"micropic: {message}", file=sys.stderr)  # noqa: T201 # it is a command line
    raise typer.Exit(1)
