"""What a render process may say: a few lines of JSON, each with its members and no others.

It decodes what strangers wrote, and may be in their hands. So nothing that it says is passed on but
a media type that its transform allows, a preview that begins as that type does, and an error that
the engine raises, with a short text. Headers, a status and a time to try again are the service's.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import orjson

from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    NotAnImage,
    PreviewTooLarge,
    TooManyPixels,
    TooMuchMemory,
    TooMuchWork,
)
from micropic.domain.model import Format, Transform
from micropic.imaging.kinds import Kind, sniff

LONGEST_LINE = 4096
"""Bytes."""
ENGINE_ERRORS: dict[str, type[MicropicError]] = {
    error.code: error
    for error in (
        BrokenImage,
        NotAnImage,
        PreviewTooLarge,
        TooManyPixels,
        TooMuchMemory,
        TooMuchWork,
    )
}
"""What the engine raises, by code; a test compares it with the imports of its modules."""

_DETAIL = re.compile(r"[ -~]{1,300}")
_SANDBOX = {"active", "missing"}
_PART = re.compile(r"[ -~]{1,200}")
_MOST_PARTS = 10
_MAGIC = 64
"""Bytes by which every format of previews is told."""
_UNPRINTABLE = re.compile(r"[^!-~]+")


class ReplyError(Exception):
    """A process says what it may not."""


class Made(NamedTuple):
    """The announcement of a preview."""

    format: Format
    length: int
    """In bytes."""


def ready(line: bytes) -> dict[str, list[str]]:
    """Read the first line of a process: what its sandbox has and what it lacks.

    Raises:
        ReplyError: it says anything else.

    """
    sandbox = _members(_members(_parsed(line), {"ready", "sandbox"})["sandbox"], _SANDBOX)
    for parts in sandbox.values():
        _check(isinstance(parts, list) and len(parts) <= _MOST_PARTS, parts)
        for part in parts:
            _check(isinstance(part, str) and _PART.fullmatch(part), part)
    return sandbox


def reply(line: bytes, transform: Transform, largest: int) -> Made | MicropicError:
    """Read the reply to a request; a preview may have `largest` bytes.

    Raises:
        ReplyError: it is no answer that the engine gives.

    """
    said = _parsed(line)
    if isinstance(said, dict) and "error" in said:
        return _error(**_members(_members(said, {"error"})["error"], {"code", "detail"}))
    length = _members(said, {"media_type", "length"})["length"]
    # A bool is an int to Python, and a float may equal one.
    _check(type(length) is int and 0 < length <= largest, length)
    for form in transform.formats:
        if form and form.media_type == said["media_type"]:
            return Made(form, length)
    raise ReplyError(said["media_type"])


def check_preview(preview: bytes, made: Made) -> None:
    """Check that a preview is what it was announced as, as far as its first bytes say.

    Raises:
        ReplyError: it is not.

    """
    try:
        kind = sniff(preview[:_MAGIC])
    except NotAnImage as error:
        raise ReplyError(made) from error
    _check(len(preview) == made.length and kind is Kind[made.format.name], made)


def printable(written: bytes) -> str:
    """Give what a process wrote as one line of printable ASCII: it goes to the log."""
    return _UNPRINTABLE.sub(" ", written.decode("ascii", "replace")).strip()


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ReplyError(line) from error


def _members(said: Any, names: set[str]) -> dict[str, Any]:
    _check(isinstance(said, dict) and said.keys() == names, said)
    return cast("dict[str, Any]", said)


def _error(code: object, detail: object) -> MicropicError:
    if not isinstance(code, str) or code not in ENGINE_ERRORS:
        raise ReplyError(code)
    if not isinstance(detail, str) or not _DETAIL.fullmatch(detail):
        raise ReplyError(detail)
    return ENGINE_ERRORS[code](detail)


def _check(holds: object, said: object) -> None:
    if not holds:
        raise ReplyError(said)
