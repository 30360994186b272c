"""Write down what took how long, across processes, where somebody wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from micropic.domain.masking import masked
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Notes, Previewer, Tracer


class Untraced:
    """A tracer that writes nothing down."""

    def span(self, name: str, carrier: Mapping[str, str]) -> AbstractContextManager[Notes]:  # noqa: ARG002 # as in `Tracer`
        """Do nothing."""
        return nullcontext({})

    def carrier(self) -> dict[str, str]:
        """Give nothing."""
        return {}


def traced(tracer: Tracer, name: str, inner: Previewer, *, first: bool = False) -> Previewer:
    """Trace what `inner` does; the `first` on the way goes on with the trace of the client's."""
    if isinstance(tracer, Untraced):
        return inner
    return _Traced(tracer, name, inner, first=first)


class _Traced:
    def __init__(self, tracer: Tracer, name: str, inner: Previewer, *, first: bool) -> None:
        self._tracer = tracer
        self._name = name
        self._inner = inner
        self._first = first

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer within a span."""
        carrier = dict(request.trace) if self._first else {}
        with self._tracer.span(self._name, carrier) as notes:
            notes["key"] = masked(request.key)
            notes["request_id"] = request.request_id
            preview = await self._inner.preview(request)
            provenance = preview.provenance
            notes["cache"] = provenance.cache.value
            notes["collapsed"] = provenance.collapsed
            for step in ("queue", "fetch", "render"):
                notes[step] = getattr(provenance, step)
            return preview
