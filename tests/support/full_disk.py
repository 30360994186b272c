"""A cache on a disk that is smaller than the cache may be.

Run as a process in namespaces of its own, in which it may mount what nobody else sees.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from micropic.adapters.disk_cache import DiskCache, Policy
from micropic.domain.freshness import DAY
from micropic.domain.lru import LruIndex
from micropic.domain.model import Preview
from micropic.domain.s3fifo import S3FifoIndex

POLICIES: Mapping[str, Policy] = {"lru": LruIndex[bytes], "s3-fifo": S3FifoIndex[bytes]}
PUTS = 200
_DISK = "4m"
_BODY = 50_000
_CACHE = 64 * 1024**2
_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def is_possible() -> bool:
    """Tell whether this machine lets us mount something."""
    if shutil.which("unshare") is None:
        return False
    tried = [*_UNSHARE, "mount", "-t", "tmpfs", "none", "/tmp"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def fill(directory: Path, policy: str) -> dict[str, int]:
    """Put 200 previews on a disk for 70 of them; give what came of it."""
    command = [*_UNSHARE, sys.executable, "-m", __name__, str(directory), policy]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


async def _fill(directory: Path, policy: str) -> dict[str, int]:
    cache = DiskCache(directory / "cache", _CACHE, policy=POLICIES[policy])
    kept = 0
    for number in range(PUTS):
        preview = Preview(os.urandom(_BODY), "image/jpeg", time.time(), DAY)
        await cache.put(f"/fill/1/1//http://h/{number}", preview)
        found = await cache.get(f"/fill/1/1//http://h/{number}")
        kept += found is not None and found.body == preview.body
    files = sum(path.is_file() for path in (directory / "cache").glob("v*/*/*"))
    half_written = len(list((directory / "cache" / "tmp").iterdir()))
    entries = cache.usage.entries
    cache.close()
    return {"kept": kept, "files": files, "entries": entries, "half written": half_written}


def main() -> None:
    """Mount the disk, fill it, and print what came of it."""
    directory, policy = Path(sys.argv[1]), sys.argv[2]
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "none", str(directory)]
    subprocess.run(mount, check=True)
    json.dump(asyncio.run(_fill(directory, policy)), sys.stdout)


if __name__ == "__main__":
    main()
