"""`micropic serve`."""

from __future__ import annotations

from micropic.cli.running import run
from micropic.cli.setting_flags import with_settings
from micropic.settings import Settings
from micropic.wiring.embedded import run_embedded


@with_settings
def serve(loaded: Settings, notes: list[str]) -> None:
    """Run the embedded service: one process that answers, fetches, renders and caches."""
    run(run_embedded, loaded, notes)
