"""Traces by OpenTelemetry (the extra `otel`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from micropic import __version__
from micropic.domain.errors import MicropicError
from micropic.ports import Notes

_W3C = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Hands spans to `exporters`, which are named by their entry points, from a thread.

    Raises:
        LookupError: one is not installed.

    """

    def __init__(self, process: str, exporters: Sequence[str]) -> None:
        # What is given here counts for more than what the variable says.
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"micropic-{process}"}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        for name in exporters:
            found = entry_points(group="opentelemetry_traces_exporter", name=name)
            if not found:
                raise LookupError(name)
            self._provider.add_span_processor(BatchSpanProcessor(next(iter(found)).load()()))
        self._tracer = self._provider.get_tracer("micropic", __version__)

    @contextmanager
    def span(self, name: str, carrier: Mapping[str, str]) -> Iterator[Notes]:
        """Write down what is done within; `carrier` is of the span that it belongs to."""
        context = _W3C.extract(carrier) if carrier else None
        notes: Notes = {}
        with self._tracer.start_as_current_span(
            name, context, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield notes
            except MicropicError as error:
                span.set_status(StatusCode.ERROR, error.code)
                span.set_attribute("error.type", error.code)
                raise
            finally:
                span.set_attributes({f"micropic.{key}": value for key, value in notes.items()})

    def carrier(self) -> dict[str, str]:
        """Give what tells another process which span it works for (W3C Trace Context)."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier

    async def close(self) -> None:
        """Hand over what waits."""
        await asyncio.to_thread(self._provider.shutdown)
