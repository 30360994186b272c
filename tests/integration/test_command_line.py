"""What people and programs meet: the command line, the log, the pages."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from micropic import __version__, settings
from tests.support.client import ask
from tests.support.command_line import invoke
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService, micropic
from tests.support.waiting import wait_until

SAMPLE = "/fill/30/20/sample:cat.jpg"


def test_the_version_is_shown() -> None:
    assert micropic("--version").stdout == f"micropic {__version__}\n"


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("micropic.cli", {"aiohttp", "numpy", "pydantic", "structlog", "uvicorn"}),
        ("micropic.cli.serve", {"aio_pika", "grpc", "numpy", "pyvips", "rich", "yaml"}),
    ],
)
def test_a_command_imports_no_package_that_it_does_not_need(
    module: str, unneeded: set[str]
) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not unneeded & set(done.stdout.split())


def test_help_shows_every_setting_with_its_default_and_its_name() -> None:
    text = " ".join(invoke("serve", "--help", COLUMNS="400").stdout.split())
    for knob in settings.knobs():
        assert knob.flag in text
        assert f"[default: {knob.default or 'none'}; env: {knob.environment}]" in text


def test_render_makes_a_preview_of_a_file(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jpg", tmp_path / "out.jpg"
    source.write_bytes(photo())
    done = micropic("render", str(source), "-o", str(output), "--size", "61x43")
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(output.read_bytes())).size == (61, 43)
    assert "61x43" in done.stdout


def test_render_draws_how_the_cut_was_chosen(tmp_path: Path) -> None:
    source, output, drawing = (tmp_path / name for name in ("in.jpg", "out.jpg", "why.jpg"))
    source.write_bytes(photo())
    done = micropic("render", str(source), "-o", str(output), "--explain", str(drawing))
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(drawing.read_bytes())).format == "JPEG"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (photo(), ("--size", "big"), "300x200"),
        (photo(), ("--size", "0x10"), "width"),
        (photo(), ("--gravity", "up"), "gravity"),
        (photo(), ("--quality", "101"), "quality"),
        (photo(), ("--mode", "stretch"), "fill"),
        (b"hello", (), "plain text"),
        (photo()[:900], (), "damaged"),
        (None, (), "No such file"),
    ],
)
def test_a_render_that_fails_says_so_in_one_line(
    tmp_path: Path, content: bytes | None, options: tuple[str, ...], expected: str
) -> None:
    source, output = tmp_path / "in.jpg", tmp_path / "out.jpg"
    if content is not None:
        source.write_bytes(content)
    done = invoke("render", str(source), "-o", str(output), *options)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert expected in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "environment", "value"),
    [
        ("proxy.port", "PROXY_PORT", "http"),
        ("proxy.timeout", "PROXY_TIMEOUT", "-1"),
        ("source.allow_networks", "SOURCE_ALLOW_NETWORKS", "home"),
        ("previewer.quality", "PREVIEWER_QUALITY", "101"),
        ("cache.size", "CACHE_SIZE", "much"),
        ("log.level", "LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_stops_the_start_in_one_line(
    name: str, environment: str, value: str
) -> None:
    allowed = next(knob.allowed for knob in settings.knobs() if knob.name == name)
    done = invoke("serve", **{environment: value})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    for part in (name, environment, value, allowed):
        assert part in line


@pytest.mark.parametrize("taken", ["PROXY_PORT", "HEALTH_PORT"])
def test_a_port_in_use_is_one_line(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        spare = Service(tmp_path, **{taken: port, "LOG_FILE": ""})
        done = micropic("serve", **spare.settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert port in line


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("PROXY_HOST", "nosuch.invalid", "cannot listen on nosuch.invalid, port 0"),
        ("LOG_FILE", "/nowhere/log", "cannot log to log.file, /nowhere/log"),
        ("CACHE_DIRNAME", "/proc/nowhere", "/proc/nowhere"),
    ],
)
def test_what_cannot_be_had_at_the_start_is_named_in_one_line(
    tmp_path: Path, setting: str, value: str, said: str
) -> None:
    spare = Service(tmp_path, **{"LOG_FILE": "", setting: value})
    done = micropic("serve", **spare.settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"PROXY_PLAYGROUND": "off", "PROXY_TRANSFORMS": "fill/9/9/explain=1"},
            ("proxy.transforms allows fill/9/9/explain=1", "proxy.playground"),
        ),
        (
            {"SOURCE_MAX_BYTES": "3KiB", "SOURCE_MAX_IN_FLIGHT_BYTES": "2KiB"},
            ("source.max_bytes is 3.0KiB", "source.max_in_flight_bytes there are only 2.0KiB"),
        ),
    ],
)
def test_settings_that_contradict_each_other_are_told_in_one_line(
    tmp_path: Path, given: dict[str, str], said: tuple[str, str]
) -> None:
    spare = Service(tmp_path, LOG_FILE="", **given)
    done = micropic("serve", **spare.settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    for part in said:
        assert part in line


def test_it_may_have_as_many_connections_as_the_system_lets_it(
    start_service: StartService,
) -> None:
    limits = Path(f"/proc/{start_service().pid}/limits").read_text()
    soft, hard = next(
        line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")
    )
    assert soft == hard


@pytest.mark.parametrize(
    "arguments",
    [
        ("purge", "h/\udcff", "--at", "http://127.0.0.1:1"),
        ("sign", "/fill/3/2/h/a", "--key", "\udcff"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_argument_that_is_no_utf_8_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    done = micropic(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "UTF-8" in done.stderr


def test_an_open_service_says_so_in_the_log(start_service: StartService) -> None:
    service = start_service()
    (line,) = service.events("open_to_anyone")
    assert line["level"] == "warning"
    service.stop()
    service.settings["SOURCE_ALLOW_HOSTS"] = "*.example.com"
    assert service.start().events("open_to_anyone") == []


def logged(service: Service, request_id: str) -> list[dict[str, Any]]:
    return [line for line in service.events("request") if line["request_id"] == request_id]


def test_each_request_is_one_line_in_the_log(service: Service) -> None:
    for request_id, cache in (("first/1", "miss"), ("second/2", "hit")):
        answer = service.get("/fill/31/21/sample:cat.jpg?x=1", {"X-Request-Id": request_id})
        assert answer.headers.get_all("X-Request-Id") == [request_id]
        (line,) = wait_until(lambda: logged(service, request_id))  # noqa: B023 # asked at once
        assert (line["method"], line["path"]) == ("GET", "/fill/31/21/sample:cat.jpg?x=***")
        assert (line["status"], line["bytes"], line["cache"]) == (200, len(answer.body), cache)
        assert line["duration_ms"] > 0


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, '"'])
def test_a_request_id_that_cannot_stand_in_a_log_is_replaced(service: Service, given: str) -> None:
    made = {service.get(SAMPLE, {"X-Request-Id": given}).headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2
    assert given not in made


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_on_both_ports(service: Service, path: str) -> None:
    for port in (service.port, service.health_port):
        assert ask(port, path).status == 200


def test_the_health_port_makes_no_previews(service: Service) -> None:
    assert ask(service.health_port, SAMPLE).status == 404


def test_the_page_is_html_under_a_policy(service: Service) -> None:
    page = service.get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    linked = re.findall(rb'(?:src|href)="(static/[^"]+)"', page.body)
    assert linked
    for path in linked:
        assert service.get(f"/{path.decode()}").status == 200


def test_the_page_can_be_switched_off_with_what_it_alone_needs(start_service: StartService) -> None:
    drawing = "/fill/30/20/explain=1/sample:cat.jpg"
    for switch, answers in {"true": [200, 200, 200], "false": [404, 404, 400]}.items():
        service = start_service(PROXY_PLAYGROUND=switch)
        paths = ("/", "/static/page.js", drawing)
        assert [service.get(path).status for path in paths] == answers
        assert service.get(SAMPLE).status == 200
        service.stop()


def test_it_is_told_how_long_the_source_is(service: Service, origin: Origin) -> None:
    body = (files("micropic") / "samples" / "cat.jpg").read_bytes()
    source = origin.on("/cat.jpg", Reply(body))
    for path in (SAMPLE, f"/fill/31/21/{source}", f"/fill/31/21/{source}"):
        assert service.get(path).headers["X-Origin-Content-Length"] == str(len(body))


@pytest.mark.parametrize("path", ["/nothing", "/crop/30/20/sample:cat.jpg", "/fill", "/%ff"])
def test_an_unknown_path_is_404(service: Service, path: str) -> None:
    assert service.get(path).error == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/fill/0/20/sample:cat.jpg",
        "/fill/30/9999/sample:cat.jpg",
        "/fill/30/20/",
        "/fill/30/20/q=0/sample:cat.jpg",
        "/fill/30/20/u:p@127.0.0.1/a",
        "/fill/30/20/ftp://127.0.0.1/a",
        "/fill/30/20/127.0.0.1%2Fa%0d%0aX",
    ],
)
def test_a_path_that_is_not_understood_is_400(service: Service, path: str) -> None:
    assert service.get(path).error == (400, "bad_request")


@pytest.mark.parametrize("path", [SAMPLE, "/", "/healthz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405_with_those_that_are_allowed(
    service: Service, path: str, method: str
) -> None:
    answer = service.get(path, {"Content-Length": "0"}, method)
    assert answer.error == (405, "method_not_allowed")
    assert {part.strip() for part in answer.headers["Allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("path", [SAMPLE, "/", "/healthz", "/nothing", "/fill/0/0/sample:cat.jpg"])
def test_head_is_get_without_the_body(service: Service, path: str) -> None:
    service.get(path)
    got, head = (service.get(path, method=method) for method in ("GET", "HEAD"))
    assert head.body == b""
    assert head.status == got.status
    varying = {"date", "x-request-id"}
    assert [field for field in head.headers.items() if field[0].lower() not in varying] == [
        field for field in got.headers.items() if field[0].lower() not in varying
    ]
