"""The audit of the lock files tells what is known, fails by it, and says when nothing is known."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import pytest

from scripts import lockfile
from tests.support.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
LOCK = """\
sound==1.0 \\
    --hash=sha256:aa
    # via micropic (pyproject.toml)
Worn_Out[extra]==2.1 ; sys_platform == 'linux' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
"""
ADVISORY = {
    "id": "GHSA-xxxx",
    "aliases": ["CVE-2026-1"],
    "summary": "It breaks.",
    "affected": [
        {
            "package": {"name": "worn-out", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2"}]},
                {"type": "GIT", "events": [{"fixed": "deadbeef"}]},
            ],
        }
    ],
}
WITHDRAWN = {"id": "PYSEC-1", "details": "No.", "withdrawn": "2026-01-01T00:00:00Z"}


class Osv(ThreadingHTTPServer):
    """Speaks OSV's API for one package that is worn out."""

    known: dict[str, dict[str, Any]] = {}  # noqa: RUF012 # set by a test


class Handler(BaseHTTPRequestHandler):
    server: Osv

    def do_POST(self) -> None:
        assert self.path == "/v1/querybatch"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"results": [self.result(query) for query in body["queries"]]})

    def do_GET(self) -> None:
        self.answer(self.server.known[self.path.removeprefix("/v1/vulns/")])

    def result(self, query: dict[str, Any]) -> dict[str, Any]:
        asked = query["package"], query["version"]
        if asked != ({"ecosystem": "PyPI", "name": "worn-out"}, "2.1") or not self.server.known:
            return {}
        first, *others = [{"id": id_} for id_ in self.server.known]
        if "page_token" in query:
            return {"vulns": others}
        return {"vulns": [first]} | ({"next_page_token": "more"} if others else {})

    def answer(self, body: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def osv() -> Iterator[Osv]:
    with Osv(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(directory: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    lock = directory / "lock.txt"
    lock.write_text(LOCK)
    service = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "scripts.audit", "--service", service, *options, str(lock)]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_known_of_nothing_passes(tmp_path: Path, osv: Osv) -> None:
    done = audit(tmp_path, osv.server_port)
    assert (done.returncode, done.stdout) == (0, "audit: 2 packages, 0 known vulnerabilities\n")


def test_a_known_vulnerability_fails_and_says_what_to_do(tmp_path: Path, osv: Osv) -> None:
    osv.known = {WITHDRAWN["id"]: WITHDRAWN, "GHSA-xxxx": ADVISORY}
    done = audit(tmp_path, osv.server_port)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "Worn_Out 2.1: GHSA-xxxx, CVE-2026-1: It breaks.; mended in 2.2",
        "audit: 2 packages, 1 known vulnerabilities",
    ]


def test_what_is_withdrawn_passes(tmp_path: Path, osv: Osv) -> None:
    osv.known = {WITHDRAWN["id"]: WITHDRAWN}
    assert audit(tmp_path, osv.server_port).returncode == 0


def test_a_service_out_of_reach_is_told_and_fails_only_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    done = audit(tmp_path, port)
    assert done.returncode == 0
    assert done.stdout.startswith("audit: NOT CHECKED, nothing is known of 2 packages")
    assert audit(tmp_path, port, "--strict").returncode == 2


def test_a_service_that_answers_something_else_is_not_taken_for_a_pass(
    tmp_path: Path, osv: Osv
) -> None:
    osv.known = {"PYSEC-2": {"no": "id"}}
    done = audit(tmp_path, osv.server_port)
    assert "NOT CHECKED" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    "sent", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_what_is_no_answer_by_http_is_not_taken_for_a_pass(tmp_path: Path, sent: bytes) -> None:
    class Rude(StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while line := self.rfile.readline().lower().strip():
                if line.startswith(b"content-length:"):
                    length = int(line.split()[1])
            self.rfile.read(length)  # left unread, it would reset the connection
            self.wfile.write(sent)

    with TCPServer(("127.0.0.1", 0), Rude) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        done = audit(tmp_path, server.server_address[1], "--strict")
        server.shutdown()
        thread.join()
    assert (done.returncode, done.stderr) == (2, "")
    assert "NOT CHECKED" in done.stdout


@pytest.mark.parametrize("name", ["build", "runtime", "image", "faces", "development"])
def test_every_line_of_our_locks_is_understood(name: str) -> None:
    path = REPOSITORY / "requirements" / f"{name}.txt"
    locked = lockfile.read(path)
    assert len(locked) == path.read_text().count("==") - path.read_text().count(" == ")
    assert sum(len(one.hashes) for one in locked) == path.read_text().count("--hash=")


def test_a_line_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    for text in ("loose>=1.0\n", "bare==1.0\n", ""):
        path.write_text(text)
        with pytest.raises(ValueError, match="lock"):
            lockfile.read(path)
