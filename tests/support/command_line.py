"""The command line in the test's own process, a hundred times faster than a process of its own."""

from __future__ import annotations

from subprocess import CompletedProcess

from typer.testing import CliRunner

from micropic.cli import app


def invoke(*arguments: str, **environ: str) -> CompletedProcess[str]:
    """Run a command that ends before it would start a service or configure the log."""
    result = CliRunner().invoke(app, arguments, env=environ)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)
