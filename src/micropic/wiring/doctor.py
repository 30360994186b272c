"""Which checks there are for which service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from micropic.services import doctor
from micropic.services.doctor import Finding, Machine, Status
from micropic.settings import Settings, SettingsError, cores
from micropic.wiring import common
from micropic.wiring.caches import cache_directory, open_cache


async def examine(settings: Settings, notes: list[str], service: str) -> list[Finding]:
    """Do all checks for one service: `serve`, `proxy`, `previewer` or `cache`."""
    given = sum(
        len(getattr(settings, section).model_fields_set) for section in type(settings).model_fields
    )
    findings = [doctor.settings(given, notes), doctor.open_files(), doctor.clock()]
    if service in {"serve", "previewer"}:
        findings += await _renderer(settings)
    if service in {"proxy", "previewer"}:
        findings += await _others(settings)
    else:
        findings.append(await _cache(settings))
    return findings


async def _renderer(settings: Settings) -> list[Finding]:
    machine = Machine(cores(), common.slots(settings), settings.render.max_memory)
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


async def _others(settings: Settings) -> list[Finding]:
    # gRPC and AMQP, which `serve` does without.
    from micropic.wiring import distributed  # noqa: PLC0415

    where = f"{settings.grpc.host}:{settings.grpc.port}"
    async with distributed.shared_cache(settings) as cache:
        shared = await doctor.remote_cache(cache, lambda: cache.trouble, where)
    return [await doctor.broker(distributed.broker(settings)), shared]


async def _cache(settings: Settings) -> Finding:
    url = urlsplit(settings.cache.url)
    if url.scheme == "memory":
        return Finding("cache", Status.OK, "in memory alone: a restart empties it")
    if url.scheme in {"", "file"}:
        return doctor.cache_directory(cache_directory(settings), settings.cache.size)
    try:
        async with AsyncExitStack() as stack:
            opened = await open_cache(settings, stack)
            trouble = opened.trouble or str
            # Without a user's name and password.
            where = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
            return await doctor.remote_cache(opened.cache, trouble, where)
    except SettingsError as error:
        return Finding("cache", Status.BROKEN, str(error), "Install the extra.")
