"""A process that fills a cache on disk until it is stopped.

First it looks at what the one before it left: whole entries alone, all of them in the index.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from micropic.adapters.cache_directory import MARK
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.entry import HEAD, key_of
from micropic.adapters.levels import Levels
from micropic.domain.model import Preview
from micropic.domain.s3fifo import S3FifoIndex
from tests.support.waiting import wait_until

MAX_BYTES = 4 * 1024**2
LARGEST = 150_000
_WRITERS = 32


class DiskWriter:
    """The process, as a test sees it."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, directory, str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines = iter(self.process.stdout or ())
        self._chance = random.Random(seed)
        told = next(self._lines, "")
        assert told.startswith("found "), "what was left is not as it has to be: see above"
        self.found = int(told.split()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()

    def write_some(self) -> None:
        """Wait until some more has been written, how much is left to chance."""
        for _ in range(self._chance.randrange(1, 100)):
            next(self._lines)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it do nothing for a while."""
        self.process.send_signal(signal.SIGSTOP)
        wait_until(self._rests)
        yield
        self.process.send_signal(signal.SIGCONT)

    def _rests(self) -> bool:
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(") ")[2].startswith("T") for stat in threads)


def _preview(key: str, size: int) -> Preview:
    """Make an entry whose body can be told from its key."""
    digest = hashlib.sha256(key.encode()).digest()
    return Preview((digest * (size // len(digest) + 1))[:size], "image/jpeg", 1e9, 60.0)


def _files(directory: Path) -> list[Path]:
    return [
        path for path in directory.rglob("*") if path.is_file() and path.name not in {"lock", MARK}
    ]


async def _check(files: list[Path], cache: Levels) -> int:
    assert cache.usage.entries == len(files)
    assert cache.usage.bytes == sum(path.stat().st_blocks * 512 for path in files)
    assert cache.usage.bytes <= MAX_BYTES
    for path in files:
        with path.open("rb") as file:
            key = key_of(file.read(HEAD))
        kept = await cache.get(key)
        assert kept is not None
        assert kept.body == _preview(key, len(kept.body)).body
    return len(files)


async def _fill(cache: Levels, chance: random.Random) -> None:
    for number in itertools.count():
        key = f"/{chance.choice(['fill', 'source'])}/1/1//http://h/{chance.randrange(200)}"
        await cache.put(key, _preview(key, chance.randrange(LARGEST)))
        print(number, flush=True)  # noqa: T201 # for who started it


async def _main(directory: Path, seed: int) -> None:
    with ExitStack() as stack:
        levels = []
        for name in ("", "sources"):
            level = DiskCache(directory / name, MAX_BYTES // 2, None, S3FifoIndex[bytes])
            stack.callback(level.close)
            levels.append(level)
        cache = Levels(*levels)
        print("found", await _check(_files(directory), cache), flush=True)  # noqa: T201 # the same
        chance = random.Random(seed)
        await asyncio.gather(*(_fill(cache, chance) for _ in range(_WRITERS)))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
