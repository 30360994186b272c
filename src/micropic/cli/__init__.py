"""The command line.

Each command lives in a module of its own, which is imported when the command runs: `micropic
--version` loads neither codecs nor HTTP, gRPC or AMQP.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from micropic import __version__

_COMMANDS = {
    "serve": "serve:serve",
    "proxy": "distributed:proxy",
    "previewer": "distributed:previewer",
    "cache": "cache:app",
    "doctor": "doctor:doctor",
    "purge": "purge:purge",
    "sign": "sign:sign",
    "render": "render:render",
    "warm": "warm:warm",
}
"""Where each command is, as `module:name` below this package, in the order of `--help`."""


class _LazyGroup(TyperGroup):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 # as the base class
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ARG002
        """Return a command, or None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        return _load(cmd_name)


def _load(name: str) -> Any:  # typer keeps the types of commands private
    module, _, attribute = _COMMANDS[name].partition(":")
    command = getattr(import_module(f"{__name__}.{module}"), attribute)
    if not isinstance(command, typer.Typer):
        function, command = command, typer.Typer(rich_markup_mode=None, add_completion=False)
        command.command(name)(function)
    return typer.main.get_command(command)


app = typer.Typer(
    name="micropic",
    cls=_LazyGroup,
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


def main() -> None:
    """Run the command line."""
    app()
