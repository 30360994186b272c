"""Which checks there are for which service."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import ModuleType
from urllib.parse import urlsplit

from micropic.adapters.cache_directory import locate
from micropic.services import doctor
from micropic.services.doctor import Finding, Machine, Status
from micropic.settings import Settings, SettingsError, cores
from micropic.wiring import common
from micropic.wiring.caches import cache_directory, open_cache
from micropic.wiring.extras import MissingExtraError, needing
from micropic.wiring.making import room_for_sources
from micropic.wiring.tracing import exporters_in, open_tracer


async def examine(settings: Settings, notes: list[str], service: str) -> list[Finding]:
    """Do all checks for one service: `serve`, `proxy`, `previewer` or `cache`."""
    given = sum(
        len(getattr(settings, section).model_fields_set) for section in type(settings).model_fields
    )
    findings = [doctor.settings(given, notes), doctor.open_files(), doctor.clock()]
    for check in _CHECKS[service]:
        try:
            findings += await check(settings)
        except MissingExtraError as error:
            findings.append(Finding("extras", Status.BROKEN, error.lack, error.advice))
        except SettingsError as error:
            advice = "Mend it, or leave it out."
            findings.append(Finding("settings", Status.BROKEN, str(error), advice))
    return findings


async def _renderer(settings: Settings) -> list[Finding]:
    machine = Machine(
        cores(),
        common.slots(settings),
        settings.render.max_memory,
        has_private=bool(settings.source.credential_hosts),
    )
    findings = [doctor.processors(machine), doctor.memory(machine), doctor.codecs()]
    try:
        process = await common.renderer(settings).start_one()
    except OSError as error:
        advice = "Raise RENDER_MAX_MEMORY, or see whether it starts with --render-sandbox=off."
        return [*findings, Finding("renderer", Status.BROKEN, str(error), advice)]
    try:
        held = doctor.sandbox(process, wanted=settings.render.sandbox)
        return [*findings, held, await doctor.formats(process)]
    finally:
        await process.stop()


async def _sources(settings: Settings) -> list[Finding]:
    room_for_sources(settings)
    return []


async def _tracing(_: Settings) -> list[Finding]:
    async with AsyncExitStack() as stack:
        await open_tracer("doctor", stack)
    names = ", ".join(exporters_in(os.environ))
    return [Finding("traces", Status.OK, f"sent by {names}" if names else "off")]


async def _others(settings: Settings) -> list[Finding]:
    distributed = _parts()
    where = f"{settings.grpc.host}:{settings.grpc.port}"
    async with distributed.shared_cache(settings) as cache:
        shared = await doctor.remote_cache(cache, lambda: cache.trouble, where)
    amqp = settings.amqp
    at = f"{amqp.user} at {amqp.protocol}://{amqp.host}:{amqp.port}"
    return [await doctor.broker(at, distributed.broker(settings).call), shared]


def _parts() -> ModuleType:
    with needing("distributed", "The distributed shape"):
        from micropic.wiring import distributed  # noqa: PLC0415
    return distributed


async def _shared_cache(settings: Settings) -> list[Finding]:
    _parts()
    return [_directory(settings)]


def _directory(settings: Settings) -> Finding:
    try:
        directory = locate(cache_directory(settings))
    except OSError as error:
        return doctor.unusable_directory(str(error))
    return doctor.cache_directory(directory, settings.cache.size)


async def _cache(settings: Settings) -> list[Finding]:
    url = urlsplit(settings.cache.url)
    if url.scheme == "memory":
        return [Finding("cache", Status.OK, "in memory alone: a restart empties it")]
    if url.scheme in {"", "file"}:
        return [_directory(settings)]
    async with AsyncExitStack() as stack:
        opened = await open_cache(settings, stack)
        trouble = opened.trouble or str
        # Without a user's name and password.
        where = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        return [await doctor.remote_cache(opened.cache, trouble, where)]


_CHECKS: Mapping[str, Sequence[Callable[[Settings], Awaitable[list[Finding]]]]] = {
    "serve": [_renderer, _sources, _cache, _tracing],
    "proxy": [_others, _tracing],
    "previewer": [_renderer, _sources, _others, _tracing],
    "cache": [_shared_cache, _tracing],
}
