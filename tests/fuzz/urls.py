"""Look for an address that the parser takes amiss, led by what of the code it runs (libFuzzer).

    python -m tests.fuzz.urls -max_total_time=60

It takes atheris (`pip install atheris`), which `make test` does not. What it finds belongs into
tests/unit/test_urls.py, whose properties are the same.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    print("There is no fuzzing without atheris: .venv/bin/pip install atheris")  # noqa: T201 # to who asked for it
    sys.exit(0)

with atheris.instrument_imports(include=["micropic"]):
    from micropic.domain import urls
    from micropic.domain.errors import BadRequest

_SENDABLE = re.compile(r"[!-\"$-~]+")
_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]")
_CORPUS = Path("build/fuzz/urls")
"""What has led further, from one run to the next."""
_BEGINNINGS = (b"", b"/", b"/fill/", b"/fill/3/2/", b"/fit/1/1/q=70,", b"/fill/3/2/http%3A%2F%2F")
"""Chance does not find these by itself: a first byte chooses one."""
_SEEDS = (
    b"\x03www.example.com/a/b.jpg?c=d",
    b"\x04f=webp,g=0.5:0.5,bg=fff/https://h:81/x",
    b"\x05[2001:db8::1]%3A80%2Fa%2525?b=%2F",
    b"\x03sample:cat.jpg",
    b"\x030x7f.1:0443/\xc3\xbc",
    b"\x02300/200/dpr=2,anim=1,rot=90/b\xc3\xbccher.de",
)


def look_at(data: bytes) -> None:
    """Read bytes as a path with its query; what comes of it is a BadRequest or in normal form."""
    beginning = _BEGINNINGS[data[0] % len(_BEGINNINGS)] if data else b""
    path, _, query = (beginning + data[1:]).partition(b"?")
    try:
        address = urls.parse_path(path, query, urls.DEFAULT)
    except BadRequest:
        return
    transform, source = address.transform, address.source
    assert _SENDABLE.fullmatch(source.target), source
    assert _HOST.fullmatch(source.host) or not source.host, source
    key = urls.build_path(transform, source)
    again = urls.parse_key(key)
    assert again == (transform, source), key
    assert urls.build_path(*again) == key


def main() -> None:
    """Run until libFuzzer's own limits."""
    _CORPUS.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_SEEDS):
        (_CORPUS / f"seed-{number}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(_CORPUS)], look_at)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
