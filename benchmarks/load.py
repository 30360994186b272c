"""Load from a process of its own: wrk, or aiohttp where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT

_LUA = """
local prefix, photos, number = "%(prefix)s", {%(photos)s}, 0
if #'%(etag)s' > 0 then wrk.headers["If-None-Match"] = '%(etag)s' end
if #photos > 0 then
  request = function()
    number = (number + 1) %% %(distinct)d
    return wrk.format("GET", prefix .. number .. "/" .. photos[number %% #photos + 1])
  end
end
done = function(summary, latency)
  local errors = summary.errors
  io.write("\\n", string.format(
    '{"answers": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout), "\\n")
end
"""
"""wrk counts an answer of 400 and above in errors.status; it times in microseconds."""


class LoadFailedError(Exception):
    """Some requests were not answered with a 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests to a port of 127.0.0.1, each connection asking anew once it is answered."""

    port: int
    connections: int
    prefix: str
    """The path; with photos, `{prefix}{number}/{photo}` makes each request a new one."""
    photos: Sequence[str] = ()
    distinct: int = 10**9
    """How many numbers there are; then they come again, from 0."""
    etag: str = ""
    """What the clients have already; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came back; times in seconds."""

    answers: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def has_wrk() -> bool:
    """Tell whether the load comes from wrk."""
    return shutil.which("wrk") is not None


def generator() -> str:
    """Name the load generator, for people."""
    return "wrk" if has_wrk() else "aiohttp, since there is no wrk (too slow to judge cached)"


def run_for(seconds: int, load: Load) -> Result:
    """Put a service under load for some time.

    Raises:
        LoadFailedError: a request failed.

    """
    if not has_wrk():
        return _client(load, seconds=seconds)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        photos = ", ".join(f'"{photo}"' for photo in load.photos)
        script.write(_LUA % (asdict(load) | {"photos": photos}))
        script.flush()
        options = ["-t1", f"-c{load.connections}", f"-d{seconds}s", f"-s{script.name}"]
        url = f"http://127.0.0.1:{load.port}{load.prefix}"
        return _result(["wrk", *options, "--timeout", "10s", url])


def run_count(count: int, load: Load) -> Result:
    """Send `count` requests.

    Raises:
        LoadFailedError: a request failed.

    """
    return _client(load, count=count)


def _client(load: Load, **until: int) -> Result:
    job: dict[str, Any] = asdict(load) | until
    return _result([sys.executable, "-m", "benchmarks.client", json.dumps(job)])


def _result(command: Sequence[str], cwd: Path = ROOT) -> Result:
    """Read the JSON object on the last line of what `command` prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{command[0]} failed: {done.stderr[-2000:]}"
        raise LoadFailedError(msg)
    result = Result(**json.loads(done.stdout.strip().splitlines()[-1]))
    if result.errors or not result.answers:
        msg = f"{result.errors} requests failed, {result.answers} were answered"
        raise LoadFailedError(msg)
    return result
