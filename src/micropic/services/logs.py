"""One JSON object a line."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import structlog

_SHARED: list[Any] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(level: str, file: str) -> None:
    """Log to `file`, or to standard error, what is at least `level`.

    Raises:
        OSError: the file cannot be opened.

    """
    stream = Path(file).open("ab") if file else sys.stderr.buffer  # noqa: SIM115 # for good
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(stream, number)


def _render(_logger: Any, _name: str, event: dict[str, Any]) -> bytes:
    return orjson.dumps(event, default=repr)


def _adopt_libraries(stream: BinaryIO, level: int) -> None:
    """Let what the libraries log come out in the same form."""
    handler = _BytesHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                lambda *event: _render(*event).decode(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


class _BytesHandler(logging.Handler):
    """Writes to the stream that structlog writes to."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        self._stream.write(self.format(record).encode() + b"\n")
        self._stream.flush()
