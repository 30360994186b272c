"""What `pip install micropic` alone does not bring, and how its lack is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from micropic.settings import SettingsError


class MissingExtraError(SettingsError):
    """The settings, or a command, take what is not installed; the message is one line."""

    def __init__(self, lack: str, advice: str) -> None:
        super().__init__(f"{lack}: {advice}")
        self.lack = lack
        self.advice = advice


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Say what to install, should an import within lack something of `extra`, which `what` takes.

    Raises:
        MissingExtraError: it does.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "micropic":  # a defect of ours
            raise
        lack = f"{what} needs {error.name}"
        raise MissingExtraError(lack, f"pip install 'micropic[{extra}]'") from None
