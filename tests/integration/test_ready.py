"""The health check of containers, as they run it."""

from __future__ import annotations

import subprocess
import sys

from tests.support.service import Service


def ready(port: int, path: str = "/readyz") -> tuple[int, str]:
    """Give the exit code, and what it said."""
    command = [sys.executable, "-m", "micropic.ready", f"http://127.0.0.1:{port}{path}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_service_that_is_ready_passes_without_a_word(service: Service) -> None:
    assert ready(service.health_port) == (0, "")


def test_what_is_not_ready_fails_and_says_why_in_one_line(service: Service) -> None:
    for code, told, reason in (
        (*ready(1), "refused"),
        (*ready(service.health_port, "/absent"), "404"),
    ):
        assert code == 1
        assert reason in told
        assert len(told.splitlines()) == 1
