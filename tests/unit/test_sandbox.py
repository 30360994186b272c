"""What a render process may ask of the kernel: its work, and nothing else."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from micropic.imaging import seccomp
from micropic.imaging.kinds import Limits
from micropic.imaging.render_process import RenderProcess

_CONFINED = """
import ctypes, os, signal, socket, sys, threading
from micropic.imaging import engine, sandbox, vips
sandbox.bound(1 << 30)
vips.confine()
held = sandbox.confine()
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
"""
_HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

pytestmark = pytest.mark.skipif(
    platform.machine() not in _HEADERS, reason="there is no filter for this machine"
)


def confined(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a render process is when it takes its first picture."""
    return subprocess.run(
        [sys.executable, "-c", _CONFINED + script],
        # Coverage would be measured in the sandbox, too, and could not be written.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        check=False,
    )


_FORBIDDEN = (
    "socket.socket()",
    "socket.socketpair()",
    "socket.create_connection(('127.0.0.1', 9))",
    "os.execv('/bin/true', ['true'])",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.fork()",
    "call(435, None, 0)",  # clone3
    "os.kill(os.getppid(), 0)",
    "libc.prctl(4, 1) and call(-1)",  # to be looked into again
    "open('/etc/passwd')",
    "os.listdir('/')",
    "open(f'/proc/{os.getppid()}/environ')",
    "open('/proc/self/environ')",
    "open('/tmp/micropic-escape', 'w')",
    "os.mkdir('/tmp/micropic-escape')",
    "os.unlink(sys.executable)",
    "os.chmod(sys.executable, 0o777)",
    "os.memfd_create('a')",
    "os.unshare(0x10000000) if hasattr(os, 'unshare') else call(-1)",
    "call(425, 8, None)",  # io_uring_setup
    "call(321 if os.uname().machine == 'x86_64' else 280, 0, None, 0)",  # bpf
    "call(101 if os.uname().machine == 'x86_64' else 117, 0, 0, None, None)",  # ptrace
    "call(437, -100, b'/dev/null', None, 0)",  # openat2
    "call(0x40000000 + 39)",  # x32's getpid
)


@cache
def outcomes() -> dict[str, str]:
    """Try all that is forbidden, in one process."""
    run = confined(f"""
import json
outcomes = {{}}
for act in {_FORBIDDEN!r}:
    try:
        exec(act)
        outcomes[act] = "done"
    except OSError as error:
        outcomes[act] = os.strerror(error.errno)
print(json.dumps(outcomes))
""")
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("act", _FORBIDDEN)
def test_what_has_nothing_to_do_with_pictures_fails(act: str) -> None:
    refusals = {"Operation not permitted", "Permission denied", "Function not implemented"}
    assert outcomes()[act] in refusals


def test_what_renders_still_can() -> None:
    """Threads start, files of Python's own and fonts can be read, memory and clocks are there."""
    run = confined("""
threads = [threading.Thread(target=sys.stdout.write, args=("thread\\n",)) for _ in range(3)]
[each.start() for each in threads]
[each.join() for each in threads]
sys.stdout.flush()
import colorsys, json.tool, random
random.SystemRandom().random(), bytes(10_000_000)
libc.abort()
""")
    assert run.stdout == "thread\n" * 3
    assert run.returncode == -6, run


def test_a_large_picture_needs_no_scratch_file() -> None:
    """Libvips would write pictures of more than 100 MB to a file."""
    run = confined("""
import io
from PIL import Image
from micropic.imaging.kinds import Kind
from micropic.imaging.probe import load
from micropic.imaging.render_process import _NO_SCRATCH
os.environ.update(_NO_SCRATCH)
libc.setenv(b"VIPS_DISC_THRESHOLD", _NO_SCRATCH["VIPS_DISC_THRESHOLD"].encode(), 1)
file = io.BytesIO()
Image.new("RGB", (7000, 5000)).save(file, "JPEG")
print(load(file.getvalue(), Kind.JPEG).numpy().shape)
""")
    assert run.stdout == "(5000, 7000, 3)\n", run


def test_a_picture_may_not_take_more_time_than_it_was_given() -> None:
    run = confined("""
sandbox.allow_time(0.1)
while True: pass
""")
    assert run.returncode == -24, run  # SIGXCPU


def told(process: RenderProcess, name: str) -> str:
    """Read what the kernel tells of a process."""
    return Path(f"/proc/{process.pid}/{name}").read_text()


async def test_a_render_process_is_held_by_all_that_the_kernel_has() -> None:
    process = await RenderProcess.start(1 << 30, Limits())
    try:
        assert not process.sandbox["missing"]
        assert len(process.sandbox["active"]) == 4
        facts = told(process, "status")
        assert re.search(r"Seccomp:\s2\n", facts)
        assert re.search(r"NoNewPrivs:\s1\n", facts)
        limits = told(process, "limits")
        assert re.search(r"Max open files\s+64\s+64\s", limits)
    finally:
        await process.stop()
    assert process.said == ""


async def test_without_the_sandbox_a_process_has_its_limits_alone() -> None:
    process = await RenderProcess.start(1 << 30, Limits(), sandbox=False)
    try:
        assert process.sandbox == {"active": [], "missing": []}
    finally:
        await process.stop()


@pytest.mark.parametrize("machine", _HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not _HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\n", _HEADERS[machine].read_text())
    known = {name: int(number) for name, number in found}
    column = list(_HEADERS).index(machine)
    fields = seccomp._ALLOWED.split()
    for name, *numbers in zip(*[iter(fields)] * 3, strict=True):
        named = "fstatat" if name == "newfstatat" and name not in known else name
        assert known.get(named) == (None if numbers[column] == "-" else int(numbers[column])), name
    for only in seccomp._conditions():
        assert known.get(only.name, -1) == only.numbers[column], only.name


def test_a_kernel_without_any_of_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter for riscv64"):
        seccomp.install()
