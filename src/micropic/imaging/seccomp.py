"""Which system calls a render process may make: a filter that the kernel asks at each (seccomp).

What is allowed is named; all else fails. That leaves a codec memory, threads, clocks, what it
has open, and files to read. A call fails as one that is not permitted, or, if it is of a newer
kind than those here (Linux 5.1 began anew at 424, the same on every machine), as on an older
kernel: the C library then makes do with what it had before, `clone` instead of `clone3`. Only
of that one does the filter see whether it asks for a thread or for a process.

Calls that are allowed depend on no argument but where one is named here: the kernel remembers
of these that they pass (5.11 and newer), so that they cost nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By `uname -m`: the column below, and AUDIT_ARCH_* (linux/audit.h)."""

_ALLOWED = """
read 0 63            readv 19 65          pread64 17 67        preadv 295 69
write 1 64           writev 20 66         pwrite64 18 68       lseek 8 62
close 3 57           fstat 5 80           newfstatat 262 79    statx 332 291
stat 4 -             lstat 6 -            access 21 -          faccessat 269 48
readlink 89 -        readlinkat 267 78    getdents64 217 61    statfs 137 43
fstatfs 138 44       getcwd 79 17         fadvise64 221 223    fcntl 72 25
dup 32 23            dup2 33 -            dup3 292 24          poll 7 -
ppoll 271 73         select 23 -          pselect6 270 72      pipe2 293 59
eventfd2 290 19
brk 12 214           mmap 9 222           munmap 11 215        mprotect 10 226
mremap 25 216        madvise 28 233       membarrier 324 283   mbind 237 235
get_mempolicy 239 236
exit 60 93           exit_group 231 94    futex 202 98         set_robust_list 273 99
rseq 334 293         gettid 186 178       set_tid_address 218 96
sched_yield 24 124   getcpu 309 168
sched_getaffinity 204 123     sched_setaffinity 203 122   sched_getparam 143 121
sched_getscheduler 145 120    sched_get_priority_max 146 125
sched_get_priority_min 147 126
rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139  sigaltstack 131 132
restart_syscall 219 128
clock_gettime 228 113  clock_getres 229 114  clock_nanosleep 230 115  nanosleep 35 101
gettimeofday 96 169  time 201 -           times 100 153
getpid 39 172        getppid 110 173      getuid 102 174       geteuid 107 175
getgid 104 176       getegid 108 177      getrusage 98 165     getrlimit 97 163
getrandom 318 278    uname 63 160         sysinfo 99 179
"""
"""Name, number on x86-64, on aarch64 (asm/unistd_64.h, asm-generic/unistd.h); - is none."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD = 0x10000
_PR_SET_NAME = 15
_TCGETS, _FIOCLEX = 0x5401, 0x5451
_NEWER = 424

_LOAD, _EQUALS, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K (linux/bpf_common.h)."""
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
"""SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO (linux/seccomp.h)."""
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Where these stand in struct seccomp_data; an argument takes 8 bytes, the lower half first."""

_SYS_SECCOMP = (317, 277)
_SET_MODE_FILTER = 1
_ALL_THREADS, _FULL_SPEED = 1 << 0, 1 << 2
"""SECCOMP_FILTER_FLAG_TSYNC, _SPEC_ALLOW.

Before 5.16 a filter turns speculation off unless it says so: that is for programs that keep
secrets from their own scripts, and costs more than all the rest.
"""


@dataclass(frozen=True, slots=True)
class _Only:
    """A call that is allowed by one of its arguments."""

    name: str
    numbers: tuple[int, ...]
    """On x86-64, on aarch64; none is -1."""
    argument: int
    test: int
    values: tuple[int, ...]
    otherwise: bool = False
    """Whether it is allowed when no value passes the test, or when one does."""


def _conditions() -> list[_Only]:
    return [
        _Only("open", (2, -1), 1, _HAS_BITS, (_WRITING,), otherwise=True),
        _Only("openat", (257, 56), 2, _HAS_BITS, (_WRITING,), otherwise=True),
        _Only("clone", (56, 220), 0, _HAS_BITS, (_CLONE_THREAD,)),
        _Only("tgkill", (234, 131), 0, _EQUALS, (os.getpid(),)),  # abort() does
        _Only("prctl", (157, 167), 0, _EQUALS, (_PR_SET_NAME,)),  # threads are named
        _Only("ioctl", (16, 29), 1, _EQUALS, (_TCGETS, _FIOCLEX)),  # Python's open() does
        _Only("prlimit64", (302, 261), 0, _EQUALS, (0,)),  # of no other process
    ]


def install() -> None:
    """Put this process, all its threads and what they start under the filter, for good.

    `no_new_privs` must be set before. A process of another architecture's calls (32 bits) is
    killed at the first one.

    Raises:
        OSError: the kernel has no seccomp, or the machine is none that is known here.

    """
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter for {platform.machine()}")
    column, architecture = _MACHINES[platform.machine()]
    code = ctypes.create_string_buffer(_program(column, architecture))
    length = len(code.raw) // 8
    # struct sock_fprog: a short and a pointer, which begins at a multiple of 8.
    program = ctypes.create_string_buffer(struct.pack("@HP", length, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(
        ctypes.c_long(_SYS_SECCOMP[column]), _SET_MODE_FILTER, _ALL_THREADS | _FULL_SPEED, program
    )
    if result:
        error = ctypes.get_errno() or errno.EBUSY  # above 0: a thread that would not be joined
        raise OSError(error, os.strerror(error))


def _program(column: int, architecture: int) -> bytes:
    """Write the filter, as struct sock_filter: each test stands before what it decides."""
    code = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUALS, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for line in _ALLOWED.split("\n"):
        fields = line.split()
        for number in fields[1 + column :: 3]:
            if number != "-":
                code += [(_EQUALS, 0, 1, int(number)), (_RETURN, 0, 0, _ALLOW)]
    for condition in _conditions():
        code += _condition(condition, column)
    code += [
        (_AT_LEAST, 0, 1, _NEWER),  # with x32's numbers, which have a high bit
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def _condition(only: _Only, column: int) -> list[tuple[int, int, int, int]]:
    number = only.numbers[column]
    if number < 0:
        return []
    verdicts = [_ERROR | errno.EPERM, _ALLOW]
    tests = len(only.values)
    code = [(_EQUALS, 0, tests + 3, number), (_LOAD, 0, 0, _ARGUMENTS + 8 * only.argument)]
    code += [(only.test, tests - index, 0, value) for index, value in enumerate(only.values)]
    code += [
        (_RETURN, 0, 0, verdicts[only.otherwise]),
        (_RETURN, 0, 0, verdicts[not only.otherwise]),
    ]
    return code
