"""One JSON object a line."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from io import FileIO
from typing import Any

import orjson
import structlog


def configure(level: str, file: str) -> None:
    """Log to `file`, or to standard error, what is at least `level`.

    Raises:
        OSError: the file cannot be opened.

    """
    # A line is one write: it is out when it was logged, and lines never mix.
    stream = FileIO(file or sys.stderr.fileno(), "ab", closefd=bool(file))
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[_render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = _LibraryHandler(max(number, logging.WARNING))
    logging.basicConfig(handlers=[handler], level=handler.level, force=True)


def _render(_logger: Any, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Write an event as JSON: one processor, since every request passes through it."""
    if event.get("exc_info"):
        structlog.processors.format_exc_info(_logger, level, event)
    event["level"] = level
    event["timestamp"] = datetime.now(UTC)
    return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z)


class _LibraryHandler(logging.Handler):
    """Lets what the libraries log come out in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        write = logger.error if record.levelno >= logging.ERROR else logger.warning
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info)
