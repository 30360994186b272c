"""What drawings cost, by what is in them: `python -m benchmarks.drawings`.

Prints the CPU time from an SVG's bytes to its pixels, at two sizes, which is what
`render.max_drawing_time` bounds. Each drawing is drawn in a process of its own, on one thread, as
render processes do; the kernel ends it after `--most` seconds of CPU time.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import time

from micropic.domain.urls import DEFAULT, parse_path
from micropic.imaging.engine import prepare
from micropic.imaging.kinds import Limits

_SIZES = ("300x200", "2000x1500")
_WIDTH, _HEIGHT = 64, 48
_AREA = f'width="{_WIDTH}" height="{_HEIGHT}"'


def drawings() -> dict[str, bytes]:
    """Give documents that ask for much, each by another way, with their names."""
    chance = random.Random(1)

    def point() -> str:
        return f"{chance.uniform(0, _WIDTH):.1f},{chance.uniform(0, _HEIGHT):.1f}"

    def small() -> str:
        x, y = point().split(",")
        return f'<rect x="{x}" y="{y}" width="1" height="1"/>'

    line = " ".join(point() for _ in range(10_000))
    matrix = " ".join(["1"] * 400)
    gradient = '<radialGradient id="g"><stop stop-color="#fff"/><stop offset="1"/></radialGradient>'
    within = {
        "20,000 rectangles": "".join(small() for _ in range(20_000)),
        "1,000 rectangles over all of it": f'<rect {_AREA} fill-opacity=".5"/>' * 1000,
        "1,000 texts": '<text x="1" y="20" font-size="9">Some words</text>' * 1000,
        "1,000 groups with opacity": f'<g opacity=".5"><rect {_AREA}/></g>' * 1000,
        "1,000 gradients": gradient + f'<rect {_AREA} fill="url(#g)"/>' * 1000,
        "a line through 10,000 points": f'<polyline points="{line}" stroke="red" fill="none"/>',
        "10 blurs": _filtered('<feGaussianBlur stdDeviation="5"/>'),
        "10 times turbulence": _filtered('<feTurbulence baseFrequency=".1" numOctaves="5"/>'),
        "10 times morphology, radius 10": _filtered('<feMorphology radius="10"/>'),
        "10 convolutions of 20 x 20": _filtered(
            f'<feConvolveMatrix order="20" kernelMatrix="{matrix}"/>'
        ),
    }
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {_AREA}>'
    return {name: f"{start}{each}</svg>".encode() for name, each in within.items()}


def main() -> None:
    """Have each drawing drawn at each size, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawings", description=__doc__)
    parser.add_argument("--most", type=int, default=20, help="seconds of CPU for one drawing")
    parser.add_argument("--only", nargs=2, metavar=("NAME", "SIZE"), help="draw one, here")
    options = parser.parse_args()
    if options.only:
        name, size = options.only
        print(_seconds(name, size, options.most))
        return
    print(f"| drawing | kB | {' | '.join(_SIZES)} |\n|---|---|---|---|", flush=True)
    for name, data in drawings().items():
        costs = " | ".join(_cost(name, size, options.most) for size in _SIZES)
        print(f"| {name} | {max(1, round(len(data) / 1000))} | {costs} |", flush=True)


def _filtered(primitive: str) -> str:
    return f'<filter id="f">{primitive}</filter>' + f'<rect {_AREA} filter="url(#f)"/>' * 10


def _cost(name: str, size: str, most: int) -> str:
    """Give the seconds of CPU for a drawing, as the table shows them."""
    command = [sys.executable, "-m", "benchmarks.drawings", "--most", str(most)]
    done = subprocess.run(
        [*command, "--only", name, size],
        env=os.environ | {"VIPS_CONCURRENCY": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGXCPU:
        return f"over {most}"
    done.check_returncode()
    return f"{float(f'{float(done.stdout):.2g}'):g}"  # two digits that count, 120 as such


def _seconds(name: str, size: str, most: int) -> float:
    """Draw in this process, which ends if that takes it `most` seconds of CPU time."""
    path = f"/fill/{size.replace('x', '/')}/http://h/x"
    transform = parse_path(path.encode(), b"", DEFAULT).transform
    data = drawings()[name]
    before = time.process_time()
    until = round(before) + most
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))
    prepare(data, transform, Limits(drawing_time=0))
    return time.process_time() - before


if __name__ == "__main__":
    main()
