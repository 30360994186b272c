"""How often a cache has what is asked for, by policy: `python -m benchmarks.hit_ratio`.

Traces of requests by Zipf's law, without and with scans: every fourth request then asks for
something that nobody asks for again. Sizes are log-normal about 12 kB. The optimum is Belady's, for
sizes: out goes what is needed last, and a new one that is needed later than all others is not kept.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.tinylfu import TinyLfuIndex
from micropic.domain.lru import LruIndex
from micropic.domain.s3fifo import S3FifoIndex

_OBJECTS = 20_000
_REQUESTS = 200_000
_Policy = type[LruIndex[int] | S3FifoIndex[int] | TinyLfuIndex]
_POLICIES: dict[str, _Policy] = {
    "LRU": LruIndex[int],
    "S3-FIFO": S3FifoIndex[int],
    "W-TinyLFU": TinyLfuIndex,
}


def main() -> int:
    """Print the table."""
    names = " | ".join(["Zipf", "scans", "cache", *_POLICIES, "optimum"])
    print(f"| {names} |\n|{'---|' * (len(_POLICIES) + 4)}")
    for skew, scans in itertools.product((0.7, 0.9, 1.1), (False, True)):
        trace, sizes = _trace(skew, scans=scans)
        footprint = sum(sizes[key] for key in set(trace))
        for share in (0.01, 0.05, 0.1, 0.2):
            room = int(footprint * share)
            ratios = [_ratio(policy, trace, sizes, room) for policy in _POLICIES.values()]
            ratios.append(_optimum(trace, sizes, room))
            cells = " | ".join(f"{ratio:.1%}" for ratio in ratios)
            print(f"| {skew} | {'yes' if scans else 'no'} | {share:.0%} | {cells} |", flush=True)
    return 0


def _trace(skew: float, *, scans: bool) -> tuple[list[int], list[int]]:
    random = np.random.default_rng(7)
    weights = 1 / np.arange(1, _OBJECTS + 1) ** skew
    trace = random.choice(_OBJECTS, _REQUESTS, p=weights / weights.sum())
    if scans:
        once = np.arange(0, _REQUESTS, 4)
        trace[once] = _OBJECTS + np.arange(len(once))
    sizes = random.lognormal(np.log(12_000), 0.8, _OBJECTS + _REQUESTS).astype(int) + 1
    return trace.tolist(), sizes.tolist()


def _ratio(
    policy: _Policy,
    trace: Sequence[int],
    sizes: Sequence[int],
    room: int,
) -> float:
    index, hits = policy(room), 0
    for key in trace:
        if index.touch(key):
            hits += 1
        else:
            index.add(key, sizes[key])
    return hits / len(trace)


def _optimum(trace: Sequence[int], sizes: Sequence[int], room: int) -> float:
    following = _next_uses(trace)
    held: dict[int, int] = {}
    queue: list[
        tuple[int, int]
    ] = []  # by next use, the last one first; old entries are passed over
    hits = used = 0
    for key, upcoming in zip(trace, following, strict=True):
        hits += key in held
        if key not in held:
            used += sizes[key]
        held[key] = upcoming
        heapq.heappush(queue, (-upcoming, key))
        while used > room:
            last, victim = heapq.heappop(queue)
            if held.get(victim) == -last:
                del held[victim]
                used -= sizes[victim]
    return hits / len(trace)


def _next_uses(trace: Sequence[int]) -> list[int]:
    following = [0] * len(trace)
    seen: dict[int, int] = {}
    for place in range(len(trace) - 1, -1, -1):
        following[place] = seen.get(trace[place], 2 * len(trace))
        seen[trace[place]] = place
    return following


if __name__ == "__main__":
    sys.exit(main())
