"""Trace what a gRPC server is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from micropic.ports import Tracer


class TracedCalls(grpc.aio.ServerInterceptor):
    """Has each call be a span of the trace that its metadata name."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap whatever handles the call."""
        handler = await continuation(handler_call_details)
        metadata = handler_call_details.invocation_metadata or ()
        carrier = {name: value for name, value in metadata if isinstance(value, str)}
        if handler is None or "traceparent" not in carrier:  # not for us, or a health check
            return handler
        name = handler_call_details.method.rpartition("/")[2]

        async def answer(request: Any, context: Any) -> Any:
            with self._tracer.span(name, carrier):
                return await (handler.unary_unary or handler.stream_unary)(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            with self._tracer.span(name, carrier):
                async for reply in handler.unary_stream(request, context):
                    yield reply

        if handler.unary_stream:
            return handler._replace(unary_stream=stream)
        return handler._replace(
            **{"stream_unary" if handler.stream_unary else "unary_unary": answer}
        )
