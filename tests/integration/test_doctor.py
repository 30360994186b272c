"""The doctor names what is wrong with a machine and what to do, and is found by its exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import StartCluster
from tests.support.command_line import invoke
from tests.support.service import micropic

NOBODY_THERE = {"AMQP_PORT": "1", "GRPC_HOST": "127.0.0.1", "GRPC_PORT": "1"}


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Give what was found, by check."""
    assert done.stderr == ""
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_a_machine_that_is_fit_is_told_so(tmp_path: Path) -> None:
    done = micropic("doctor", "--json", CACHE_DIRNAME=str(tmp_path / "cache"), CACHE_SIZE="9MiB")
    found = findings(done)
    assert done.returncode == 0
    assert set(found) == {
        "settings", "open files", "clock", "cores", "memory", "codecs", "sandbox", "formats",
        "cache", "traces",
    }  # fmt: skip
    assert "broken" not in {finding["status"] for finding in found.values()}
    assert found["formats"]["detail"] == (
        "in: JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, ICO, SVG; out: jpeg, png, webp, avif"
    )
    assert "libvips 8." in found["codecs"]["detail"]
    assert found["codecs"]["status"] == "ok"
    assert "no_new_privs" in found["sandbox"]["detail"]
    assert not (tmp_path / "cache").exists()  # it looks, and changes nothing


def test_a_warning_says_what_to_do_and_is_no_failure(tmp_path: Path) -> None:
    done = micropic(
        "doctor", "--json", "--render-slots", "900", "--render-sandbox", "off",
        "--cache-dirname", str(tmp_path), "--cache-size", "900TiB",
    )  # fmt: skip
    found = findings(done)
    assert done.returncode == 0
    for check in ("memory", "cores", "sandbox", "cache"):
        assert found[check]["status"] == "warning"
        assert found[check]["advice"]


def test_what_is_out_of_reach_is_broken(tmp_path: Path) -> None:
    done = micropic("doctor", "--for", "proxy", "--json", **NOBODY_THERE)
    found = findings(done)
    assert done.returncode == 1
    assert {found[check]["status"] for check in ("broker", "cache")} == {"broken"}
    (tmp_path / "file").touch()
    done = micropic("doctor", "--for", "cache", CACHE_DIRNAME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert "broken   cache" in done.stdout
    assert "-> Make it writable" in done.stdout


@pytest.mark.parametrize(
    ("service", "settings", "told"),
    [
        ("cache", {"CACHE_URL": "memory://"}, "cache.url is memory:"),
        ("serve", {"OTEL_TRACES_EXPORTER": "pigeon"}, "pigeon, which is not installed"),
        ("serve", {"SOURCE_MAX_BYTES": "257MiB"}, "source.max_bytes is 257.0MiB"),
        ("previewer", {"SOURCE_MAX_BYTES": "257MiB", **NOBODY_THERE}, "max_bytes is 257.0MiB"),
    ],
)
def test_settings_that_the_service_would_not_start_with_are_broken(
    service: str, settings: dict[str, str], told: str
) -> None:
    done = micropic("doctor", "--for", service, **settings)
    assert done.returncode == 1
    assert told in done.stdout


@pytest.mark.parametrize("url", ["redis://user:secret@127.0.0.1:1/0", "grpc://127.0.0.1:1"])
def test_a_cache_over_the_network_is_asked_and_no_password_shown(url: str) -> None:
    done = micropic("doctor", "--json", CACHE_URL=url, RENDER_SLOTS="1")
    assert findings(done)["cache"]["status"] == "broken"
    assert done.returncode == 1
    assert "secret" not in done.stdout


def test_render_processes_that_cannot_render_are_broken() -> None:
    done = micropic("doctor", "--json", RENDER_MAX_MEMORY="32MiB")
    found = findings(done)["formats"]
    assert (done.returncode, found["status"]) == (1, "broken")
    assert "JPEG to jpeg" in found["detail"]
    assert "RENDER_MAX_MEMORY" in found["advice"]


def test_a_wrong_setting_is_one_line() -> None:
    done = invoke("doctor", RENDER_SLOTS="many")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "render.slots" in line


def test_a_cluster_that_runs_is_in_order(start_cluster: StartCluster) -> None:
    cluster = start_cluster()
    for service in ("proxy", "previewer"):
        found = findings(micropic("doctor", "--for", service, "--json", **cluster.settings))
        assert {found[check]["status"] for check in ("broker", "cache")} == {"ok"}
