"""What a render process may ask of the kernel: its work, and nothing else."""

from __future__ import annotations

import json
import os
import platform
import re
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from micropic.imaging import seccomp
from micropic.imaging.kinds import Limits
from micropic.imaging.render_process import RenderProcess

_CONFINED = """
import ctypes, mmap, os, signal, socket, sys, threading
from micropic.imaging import engine, sandbox, vips
read, write = os.pipe()
memory = mmap.mmap(-1, 4096)
page = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
pair = (ctypes.c_int * 2)()
sandbox.bound(1 << 30)
vips.confine()
{before}
held = sandbox.confine()
assert not held.missing, held
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


def confined(script: str, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script as a render process is when it takes its first picture."""
    return subprocess.run(
        [sys.executable, "-c", _CONFINED.replace("{before}", before) + script, *arguments],
        # Coverage would be measured in the sandbox, too, and could not be written.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        check=False,
    )


_NUMBERS = {
    rule.name: rule.numbers[list(_HEADERS).index(platform.machine())]
    for rule in seccomp._rules(list(_HEADERS).index(platform.machine()))
}
"""Of the calls that depend on their arguments, on this machine."""
_BEYOND = (
    # who is signalled when something is to be read, and by what
    *("fcntl.fcntl(read, fcntl.F_SETOWN, victim)", "fcntl.fcntl(read, fcntl.F_SETSIG, 9)"),
    "fcntl.fcntl(read, 15, struct.pack('ii', 1, victim))",  # F_SETOWN_EX: F_OWNER_PID
    "fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)",
    "fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL))",
    *("fcntl.fcntl(0, fcntl.F_SETLEASE, fcntl.F_RDLCK)", "fcntl.fcntl(0, fcntl.F_NOTIFY, 1)"),
    *("fcntl.fcntl(read, 1031, 1 << 20)", "fcntl.fcntl(2, 1033, 4)"),  # F_SETPIPE_SZ, F_ADD_SEALS
    "fcntl.fcntl(0, fcntl.F_SETLKW, struct.pack('hhqqi', 0, 0, 0, 0, 0))",
    f"call({_NUMBERS['fcntl']}, read, ctypes.c_long(fcntl.F_SETOWN | 1 << 32), victim)",
    f"call({_NUMBERS['ioctl']}, read, 0x5452, ctypes.byref(one))",  # FIOASYNC
    f"call({_NUMBERS['ioctl']}, read, 0x8901, ctypes.byref(other))",  # FIOSETOWN
    f"call({_NUMBERS['ioctl']}, read, 0x8902, ctypes.byref(other))",  # SIOCSPGRP
    f"call({_NUMBERS['ioctl']}, 0, 0x5412, b'x')",  # TIOCSTI
    "os.open('/usr/lib', os.O_RDONLY | os.O_ASYNC)",
    # signals as such
    *("os.kill(victim, 9)", "os.kill(0, 0)", "os.kill(-1, 0)", "os.killpg(os.getpgid(0), 0)"),
    *("signal.pidfd_send_signal(read, 9)", f"call({_NUMBERS['tgkill']}, victim, victim, 9)"),
    "call(200 if x86 else 130, victim, 9)",  # tkill
    "call(129 if x86 else 138, victim, 9, bytes(128))",  # rt_sigqueueinfo
    "call(297 if x86 else 240, victim, victim, 9, bytes(128))",  # rt_tgsigqueueinfo
    "call(222 if x86 else 107, 1, None, ctypes.byref(other))",  # timer_create
    # how another process is run, and with what limits
    *("os.sched_setaffinity(victim, {0})", "os.sched_setaffinity(0, {0})"),
    *("os.sched_getparam(victim)", "os.sched_getscheduler(victim)"),
    "os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))",
    "os.setpriority(os.PRIO_PROCESS, victim, 19)",
    f"call({_NUMBERS['prlimit64']}, victim, resource.RLIMIT_CPU, struct.pack('qq', 0, 0), None)",
    f"call({_NUMBERS['futex']}, ctypes.byref(other), 6, 0, None)",  # FUTEX_LOCK_PI: looks it up
    f"call({_NUMBERS['futex']}, ctypes.byref(other), 8 | 128, 0, None)",  # FUTEX_TRYLOCK_PI
    f"call({_NUMBERS['membarrier']}, 1, 0, 0)",  # MEMBARRIER_CMD_GLOBAL
    # processes and namespaces in the guise of threads
    f"call({_NUMBERS['clone']}, 17, 0, 0, 0, 0)",  # SIGCHLD: a fork
    f"call({_NUMBERS['clone']}, 0x10000 | 17, 0, 0, 0, 0)",  # CLONE_THREAD alone
    f"call({_NUMBERS['clone']}, 0x3d8f00, 0, 0, 0, 0)",  # a thread with CLONE_PARENT
    f"call({_NUMBERS['clone']}, 0x3d0f00 | 0x40000000, 0, 0, 0, 0)",  # with CLONE_NEWNET
    # memory of all, and code that nobody has put there
    *(f"call({_NUMBERS['madvise']}, page, 4096, {advice})" for advice in (9, 12, 21, 100, 101)),
    f"call({_NUMBERS['fadvise64']}, 0, 0, 0, 4)",  # POSIX_FADV_DONTNEED
    f"call({_NUMBERS['mbind']}, page, 4096, 1, None, 0, 4)",  # MPOL_MF_MOVE_ALL
    f"call({_NUMBERS['mmap']}, 0, 4096, 7, 0x22, -1, 0)",  # to be written and run
    f"call({_NUMBERS['mmap']}, 0, 4096, 5, 0x22, -1, 0)",
    f"call({_NUMBERS['mprotect']}, page, 4096, 5)",
    # a pipe that the kernel writes to, what another name says, another machine's calls
    *(f"call({_NUMBERS['pipe2']}, pair, os.O_EXCL)", "libc.prctl(1, 9) and call(-1)"),
    "os.open('/dev/null', os.O_PATH)",
)
"""What no argument of an allowed call may bring about, with Landlock or without."""
_FORBIDDEN = (
    *_BEYOND,
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


_TRY = f"""
import fcntl, json, mmap, resource, struct
outcomes, victim, x86 = {{}}, int(sys.argv[1]), os.uname().machine == "x86_64"
one, other = ctypes.c_int(1), ctypes.c_int(victim)
for act in {_FORBIDDEN!r}:
    try:
        exec(act)
        outcomes[act] = "done"
    except OSError as error:
        outcomes[act] = os.strerror(error.errno)
os.write(write, b"x")  # who is to be signalled is so now
print(json.dumps(outcomes))
"""


@cache
def outcomes(*, landlock: bool) -> dict[str, str]:
    """Try all that is forbidden, in one process, with another one in reach of its signals."""
    without = "" if landlock else "sandbox._restrict_files = lambda: ''\n"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        cores = os.sched_getaffinity(victim.pid)
        run = confined(_TRY, str(victim.pid), before=without)
        assert os.sched_getaffinity(victim.pid) == cores
        assert victim.communicate(b"alive")[0] == b"alive", victim.returncode
    assert run.returncode == 0, run
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("act", _FORBIDDEN)
def test_what_has_nothing_to_do_with_pictures_fails(act: str) -> None:
    refusals = {"Operation not permitted", "Permission denied", "Function not implemented"}
    assert outcomes(landlock=True)[act] in refusals


@pytest.mark.parametrize("act", _BEYOND)
def test_without_landlock_the_filter_alone_keeps_a_process_to_itself(act: str) -> None:
    """Kernels before 6.12 scope no signals."""
    refusals = {"Operation not permitted", "Function not implemented"}
    assert outcomes(landlock=False)[act] in refusals


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
    for rule in seccomp._rules(column):
        assert known.get(rule.name, -1) == rule.numbers[column], rule.name


def test_a_kernel_without_any_of_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter for riscv64"):
        seccomp.install()


def verdict(machine: str, number: int, *arguments: int) -> int:
    """Run the filter of a machine, that may be another one than this, over a call."""
    column, architecture = seccomp._MACHINES[machine]
    call = struct.pack("=iIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    program = [*struct.iter_unpack("=HBBI", seccomp._program(column, architecture))]
    register, place = 0, 0
    while True:
        code, if_so, if_not, value = program[place]
        place += 1
        match code:
            case seccomp._LOAD:
                (register,) = struct.unpack_from("=I", call, value)
            case seccomp._AND:
                register &= value
            case seccomp._EQUALS:
                place += if_so if register == value else if_not
            case seccomp._AT_LEAST:
                place += if_so if register >= value else if_not
            case seccomp._RETURN:
                return int(value)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", _HEADERS)
def test_each_machine_has_a_rule_for_each_argument(machine: str) -> None:
    """The filter of the machine that the tests do not run on, too."""
    column = list(_HEADERS).index(machine)
    numbers = {rule.name: rule.numbers[column] for rule in seccomp._rules(column)}
    allowed = {
        "fcntl": {0, 1, 2, 3, 1030},
        "ioctl": {0x5401, 0x5451},
        "madvise": {0, 1, 2, 3, 4, 8, 14, 15, 16, 17, 102, 103},
        "fadvise64": {0, 1, 2, 3},
        "membarrier": {0, 8, 16},
        "prctl": {15},
        "futex": {flag | each for each in (0, 1, 3, 4, 5, 9, 10) for flag in (0, 128, 256, 384)},
        "mprotect": {0, 1, 2, 3} | {each | 8 for each in range(4)},
        "clone": {0x3D0F00, 0x7D0F00},
    }
    places = dict(zip(allowed, (1, 1, 2, 3, 0, 0, 1, 2, 0), strict=True))
    tried = [*range(2048), 0x5401, 0x5411, 0x5451, 0x5452, 0x8901, 0x3D0F00, 0x7D0F00, 0x3D8F00]
    for name, values in allowed.items():
        passed = {
            value
            for value in tried
            if verdict(machine, numbers[name], *[0] * places[name], value) == seccomp._ALLOW
        }
        few = passed if name != "mprotect" else {value for value in passed if value < 16}
        assert few == values, name
    for prot, flags, passes in [(3, 0x22, True), (5, 2, True), (5, 0x22, False), (7, 2, False)]:
        answer = verdict(machine, numbers["mmap"], 0, 0, prot, flags)
        assert (answer == seccomp._ALLOW) == passes
    assert verdict(machine, numbers["tgkill"], os.getpid(), 1, 9) == seccomp._ALLOW
    assert verdict(machine, numbers["tgkill"], os.getpid() + 1, 1, 9) != seccomp._ALLOW
