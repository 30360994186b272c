"""Tell by the exit code whether a service is ready: `python -m micropic.ready URL`.

For the health checks of containers. It stands on the standard library alone, and beside the
command line, since it runs every few seconds: the command line takes ten times as long to start.
"""

from __future__ import annotations

import sys
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

_TIMEOUT = 2.0


def trouble(url: str) -> str:
    """Ask at `url`, which is that of `/readyz`; give why the service is not ready, or nothing."""
    opener = build_opener(ProxyHandler({}))  # the environment's is for others' hosts
    try:
        with opener.open(url, timeout=_TIMEOUT):
            return ""
    except (OSError, HTTPException) as error:
        return f"{url} is not ready: {error}"


if __name__ == "__main__":
    sys.exit(trouble(sys.argv[1]) or None)
