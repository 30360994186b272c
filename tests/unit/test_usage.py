from __future__ import annotations

from dataclasses import replace

from micropic.domain.usage import Usage

DISK = Usage(entries=1, bytes=20, max_bytes=300, unused=4.0, evictions=5, hits=6, misses=7)
MEMORY = replace(DISK, unused=None)


def test_two_together_are_their_sums_and_the_longer_unused() -> None:
    both = Usage(entries=2, bytes=40, max_bytes=600, unused=8.0, evictions=10, hits=12, misses=14)
    assert DISK + replace(DISK, unused=8.0) == both
    assert replace(both, unused=4.0) == MEMORY + DISK
    assert (MEMORY + MEMORY).unused is None
