"""What a render process can still do once it is confined."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from micropic.domain.errors import NotAnImage
from micropic.imaging.kinds import Limits
from micropic.imaging.probe import probe

_ASK = """
import json, sys
import pyvips
from pyvips import ffi
from micropic.imaging import vips

BLOCKED = 32  # VIPS_OPERATION_BLOCKED, libvips/include/vips/operation.h
vips.confine()
left = []

def visit(kind):
    found = []
    callback = ffi.callback("VipsTypeMap2Fn", lambda each, *_: found.append(each) or ffi.NULL)
    pyvips.type_map(kind, callback)
    for each in found:
        name = pyvips.nickname_find(each)
        try:
            if not pyvips.Introspect.get(name).flags & BLOCKED:
                left.append(name)
        except pyvips.Error:
            pass  # it is abstract
        visit(each)

visit(pyvips.type_from_name(sys.argv[1]))
print(json.dumps(sorted(set(left))))
"""


def unblocked(base: str) -> set[str]:
    """Give the operations below a class of libvips that a confined process may call."""
    run = subprocess.run([sys.executable, "-c", _ASK, base], capture_output=True, check=True)
    return set(json.loads(run.stdout))


def test_pictures_pass_as_bytes_and_only_of_the_kinds_of_the_web() -> None:
    loaders = {"jpeg", "png", "webp", "gif", "heif", "tiff", "svg"}
    assert unblocked("VipsForeignLoad") == {f"{name}load_buffer" for name in loaders}
    savers = {"png", "webp", "heif", "gif"}
    assert unblocked("VipsForeignSave") == {f"{name}save_buffer" for name in savers}


def test_no_command_is_run() -> None:
    assert "system" not in unblocked("VipsOperation")


@pytest.mark.parametrize(
    "call",
    [
        "pyvips.Image.new_from_file(sys.argv[1])",
        "pyvips.Image.csvload(sys.argv[1])",
        "pyvips.Image.rawload(sys.argv[1], 1, 1, 1)",
        "pyvips.Image.pngload(sys.argv[1])",
        "pyvips.Image.black(9, 9).write_to_file(sys.argv[1])",
        "pyvips.Image.system('true')",
    ],
)
def test_a_blocked_operation_fails(tmp_path: Path, call: str) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"1 2\n3 4\n")
    script = f"import sys, pyvips; from micropic.imaging import vips; vips.confine(); {call}"
    run = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False
    )
    assert "pyvips.error.Error" in run.stderr
    assert file.read_bytes() == b"1 2\n3 4\n"


@pytest.mark.parametrize(
    "body",
    [
        b"P6 1 1 255 aaa", b"Pf 1 1 -1 aaaa", b"1,2\n3,4\n", b"2 2\n1 2\n3 4\n", b"%PDF-1.7\n",
        b"MATLAB 5.0 MAT-file", b"\xff\x0a\x00", b"\x00\x00\x00\x0cJXL \r\n\x87\n", b"#?RADIANCE\n",
        b"\x08\xf2\xa6\xb6" + bytes(60), b"SIMPLE  =                    T", b"8BPS\x00\x01",
        b"v/1\x01", b"/* XPM */", b"push graphic-context\n", b"\x5c\x01\x00\x00" + bytes(344),
    ],
)  # fmt: skip
def test_a_kind_that_is_not_of_the_web_reaches_no_loader(body: bytes) -> None:
    """PPM, PFM, CSV, matrix, PDF, MATLAB, JXL, Radiance, VIPS, FITS, PSD, EXR, XPM, MVG, NIfTI."""
    with pytest.raises(NotAnImage):
        probe(body, Limits())
