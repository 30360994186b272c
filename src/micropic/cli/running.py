"""Run a service."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import uvloop

from micropic import settings
from micropic.adapters.cache_directory import CacheDirectoryInUseError
from micropic.cli.failure import fail
from micropic.cli.lean_structlog import structlog
from micropic.services import logs

log = structlog.get_logger()


def run(
    service: Callable[[settings.Settings], Coroutine[None, None, None]],
    loaded: settings.Settings,
    notes: list[str],
) -> None:
    """Run a service until it is told to stop; print in one line why it cannot start."""
    try:
        logs.configure(loaded.log.level, loaded.log.file, mask_queries=not loaded.log.queries)
        for note in notes:
            log.warning("setting", detail=note)
        uvloop.run(service(loaded))
    except (OSError, CacheDirectoryInUseError, settings.SettingsError) as error:
        fail(str(error))
