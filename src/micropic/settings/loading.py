"""Where the value of a setting comes from, and what people are told of a wrong one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ByteSize, ValidationError

from micropic.settings.kinds import Allowed
from micropic.settings.sections import Settings

_Layer = dict[str, tuple[object, str]]
"""What one place gives: the value and the place, by the setting's name."""

_BARE_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_PASSWORD = re.compile(r"//.*@")


class SettingsError(Exception):
    """A setting is wrong; the message is one line that says which, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting as people meet it."""

    section: str
    key: str
    default: str
    allowed: str
    description: str
    secret: bool = False

    @property
    def name(self) -> str:
        """As in `proxy.port`."""
        return f"{self.section}.{self.key}"

    @property
    def environment(self) -> str:
        """As in `PROXY_PORT`."""
        return f"{self.section}_{self.key}".upper()

    @property
    def flag(self) -> str:
        """As in `--proxy-port`."""
        return f"--{self.section}-{self.key}".replace("_", "-")


def knobs() -> Iterator[Knob]:
    """Give every setting, in the order of their declaration."""
    for section, section_field in Settings.model_fields.items():
        defaults = section_field.default
        for key, field in type(defaults).model_fields.items():
            allowed = next(item for item in field.metadata if isinstance(item, Allowed))
            default = _shown(getattr(defaults, key))
            description = field.description or ""
            yield Knob(section, key, default, allowed.text, description, allowed.secret)


def load(
    config: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """Read the settings; `flags` are by the setting's name, `proxy.port`.

    An empty variable of the environment counts as none. The second part of the answer is what
    the operator should be told.

    Raises:
        SettingsError: a value is not allowed, or the file cannot be read.

    """
    layers: list[_Layer] = [_read_file(config) if config else {}, {}, {}]
    for knob in knobs():
        if value := environ.get(knob.environment):
            layers[1][knob.name] = (value, f"given by {knob.environment}")
        if knob.name in flags:
            layers[2][knob.name] = (flags[knob.name], f"given by {knob.flag}")
    notes = list(filter(None, dict.fromkeys(map(_count_for_size, layers))))
    given = layers[0] | layers[1] | layers[2]
    values: dict[str, dict[str, object]] = {}
    for name, (given_value, _) in given.items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = given_value
    try:
        return Settings.model_validate(values), notes
    except ValidationError as error:
        explanation = _explain(error, given)
        raise SettingsError(" ".join(explanation.split())) from None


def cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _read_file(path: Path) -> _Layer:
    import yaml  # noqa: PLC0415 # most services start without a file

    try:
        sections = yaml.safe_load(path.read_text()) or {}
        return {
            f"{section}.{key}": (value, f"in {path}")
            for section, values in sections.items()
            for key, value in (values or {}).items()
        }
    except AttributeError:
        reason = "it must hold sections with settings, such as proxy: {port: 8080}"
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
    msg = f"The settings file {path} cannot be read: {reason}"
    raise SettingsError(msg)


def _count_for_size(layer: _Layer) -> str | None:
    """Take a bare number in cache.size for a count of entries, as the first users wrote it."""
    size, where = layer.get("cache.size", ("", ""))
    if isinstance(size, bool) or not _BARE_NUMBER.fullmatch(str(size)):
        return None
    del layer["cache.size"]
    layer.setdefault("cache.entries", (size, where))
    return f"CACHE_SIZE={size} has no unit: it is taken for CACHE_ENTRIES, a count of previews"


def _explain(error: ValidationError, given: _Layer) -> str:
    """Say what the first thing wrong is."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    where = next(where for key, (_, where) in given.items() if f"{key}.".startswith(f"{name}."))
    knob = next((knob for knob in knobs() if knob.name == name), None)
    if knob is None:
        known = ", ".join(knob.name for knob in knobs())
        return f"There is no setting {name!a}, {where}. The settings are {known}."
    value = "***" if knob.secret else _PASSWORD.sub("//***@", repr(first["input"]))
    return f"The setting {name} is {value}, {where}; allowed: {knob.allowed}."


def _shown(value: object) -> str:
    """Write a default the way it would be given."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
