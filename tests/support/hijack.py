"""Pictures that take over the render process, as one might that finds a hole in a codec."""

from __future__ import annotations

from pathlib import Path

from tests.support.pictures import photo

_MARK = b"#!hijack\n"
_SITE = f"""
import sys

if "micropic.imaging.worker" in sys.orig_argv:
    import json, os, threading
    from micropic.domain.model import Size
    from micropic.imaging import engine

    at = sys.orig_argv.index("micropic.imaging.worker")
    control, body = map(int, sys.orig_argv[at + 1 : at + 3])
    rendered = engine.render

    def say(said):
        os.write(control, said if isinstance(said, bytes) else json.dumps(said).encode() + b"\\n")

    def show(made):
        os.pwrite(body, made, 0)
        say({{"media_type": "image/jpeg", "length": len(made)}})

    def hang():
        threading.Event().wait()

    def render(data, *arguments, **options):
        _, mark, script = bytes(data).partition({_MARK!r})
        names = globals() | {{"data": bytes(data)}}
        if mark:
            exec(script, names)
        if "answer" in names:
            return engine.Encoded(names["answer"], "image/jpeg", Size(1, 1))
        return rendered(data, *arguments, **options)

    engine.render = render
"""
"""Imported by each Python that is started with its directory in PYTHONPATH (module `site`)."""


def holes(directory: Path) -> str:
    """Make codecs with a hole; give the PYTHONPATH of a service that has them."""
    (directory / "sitecustomize.py").write_text(_SITE)
    return str(directory)


def hijacking(script: str, size: int = 0) -> bytes:
    """Give a picture, of `size` bytes at least, that has the render process run a script.

    It has `control` and `body`, the descriptors; `data`, the picture; `say` writes a line, or raw
    bytes, to the service, `show` answers with what is to pass for a JPEG, and `hang` never returns.
    What it calls `answer` the process itself answers with, and goes on.
    """
    picture = photo()
    return picture + bytes(max(0, size - len(picture))) + _MARK + script.encode()
