"""A flag for every setting, declared from the settings themselves."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from micropic import settings
from micropic.cli.failure import fail


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
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
            fail(str(error))
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
