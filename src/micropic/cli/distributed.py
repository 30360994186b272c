"""`micropic proxy` and `micropic previewer`."""

from __future__ import annotations

from types import ModuleType

from micropic.cli.failure import fail
from micropic.cli.running import run
from micropic.cli.setting_flags import with_settings
from micropic.settings import Settings, SettingsError
from micropic.wiring.extras import needing


@with_settings
def proxy(loaded: Settings, notes: list[str]) -> None:
    """Run the HTTP service of the distributed shape, which has previewers do the work."""
    run(services_of("proxy").run_proxy, loaded, notes)


@with_settings
def previewer(loaded: Settings, notes: list[str]) -> None:
    """Run a worker of the distributed shape: it takes requests from RabbitMQ and makes previews."""
    run(services_of("previewer").run_previewer, loaded, notes)


def services_of(command: str) -> ModuleType:
    """Import the services of the distributed shape; fail if their extra is not installed."""
    try:
        with needing("distributed", f"the command {command}"):
            from micropic.wiring import distributed  # noqa: PLC0415 # else no message of ours
    except SettingsError as error:
        fail(str(error))
    return distributed
