"""Whether there are traces, and where they go: by OpenTelemetry's own variables.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from micropic.pipeline.traced import Untraced
from micropic.ports import Tracer
from micropic.settings import SettingsError
from micropic.wiring.extras import needing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


async def open_tracer(process: str, stack: AsyncExitStack) -> Tracer:
    """Give what traces, until `stack` is closed.

    Raises:
        SettingsError: the extra or the exporter is missing.

    """
    exporters = exporters_in(os.environ)
    if not exporters:
        return Untraced()
    with needing("otel", "OTEL_TRACES_EXPORTER"):
        from micropic.adapters.otel import OpenTelemetry  # noqa: PLC0415
    try:
        tracer = OpenTelemetry(process, exporters)
    except LookupError as error:
        msg = f"OTEL_TRACES_EXPORTER names {error}, which is not installed."
        raise SettingsError(msg) from None
    stack.push_async_callback(tracer.close)
    return tracer


def exporters_in(environ: Mapping[str, str]) -> list[str]:
    """Name the exporters that the variables ask for, by their entry points; none: no traces.

    Unlike in the SDK, `otlp` is not the default where there is no endpoint either.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    default = "otlp" if any(map(environ.get, _ENDPOINTS)) else ""
    names = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", default).split(",")]
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    otlp = f"otlp_proto_{'grpc' if protocol == 'grpc' else 'http'}"
    return [otlp if name == "otlp" else name for name in names if name not in {"", "none"}]
