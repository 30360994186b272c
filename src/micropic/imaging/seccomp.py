"""Which system calls a render process may make: a filter that the kernel asks at each (seccomp).

What is allowed is named; all else fails. That leaves a codec memory, threads, clocks, what it
has open, and files to read. A call fails as one that is not permitted, or, if it is of a newer
kind than those here (Linux 5.1 began anew at 424, the same on every machine), as on an older
kernel: the C library then makes do with what it had before, `clone` instead of `clone3`. Only
of that one does the filter see whether it asks for a thread or for a process.

A call whose arguments can reach beyond this process, such as `fcntl` (F_SETOWN and O_ASYNC signal
another one) or `sched_setaffinity`, is allowed by its arguments or not at all (`_rules`). A filter
reads 32 bits at a time: all arguments that are tested here are of 32 bits to the kernel (`int`,
`unsigned int`, `clone`'s lower half) or have no meaning above them (`mmap`'s prot and flags), so
that the upper half of the register cannot say otherwise.

Calls that depend on no argument cost nothing: the kernel remembers that they pass (5.11 and newer).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import NamedTuple

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By `uname -m`: the column below, and AUDIT_ARCH_* (linux/audit.h)."""

_ALLOWED = """
read 0 63            readv 19 65          pread64 17 67        preadv 295 69
write 1 64           writev 20 66         pwrite64 18 68       lseek 8 62
close 3 57           fstat 5 80           newfstatat 262 79    statx 332 291
stat 4 -             lstat 6 -            access 21 -          faccessat 269 48
readlink 89 -        readlinkat 267 78    getdents64 217 61    statfs 137 43
fstatfs 138 44       getcwd 79 17
dup 32 23            dup2 33 -            dup3 292 24          poll 7 -
ppoll 271 73         select 23 -          pselect6 270 72      eventfd2 290 19
brk 12 214           munmap 11 215        mremap 25 216        get_mempolicy 239 236
exit 60 93           exit_group 231 94    set_robust_list 273 99
rseq 334 293         gettid 186 178       set_tid_address 218 96
sched_yield 24 124   getcpu 309 168       sched_getaffinity 204 123
sched_get_priority_max 146 125            sched_get_priority_min 147 126
rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139  sigaltstack 131 132
restart_syscall 219 128
clock_gettime 228 113  clock_getres 229 114  clock_nanosleep 230 115  nanosleep 35 101
gettimeofday 96 169  time 201 -           times 100 153
getpid 39 172        getppid 110 173      getuid 102 174       geteuid 107 175
getgid 104 176       getegid 108 177      getrusage 98 165     getrlimit 97 163
getrandom 318 278    uname 63 160         sysinfo 99 179
"""
"""Name, number on x86-64, on aarch64 (asm/unistd_64.h, asm-generic/unistd.h); - is none."""

_OPENED = os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LARGE = (0o100000, 0o400000)
"""O_LARGEFILE, which musl says at each open(); to a 64-bit kernel it means nothing."""
_THREAD = 0x3D0F00
"""CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD, _SYSVSEM, _SETTLS, _PARENT_SETTID, _CHILD_CLEARTID:
what glibc starts a thread with. No signal at its end, no namespaces, no other parent."""
_DETACHED = 0x400000
"""CLONE_DETACHED, which musl adds; the kernel ignores it."""
_DUPFD, _GETFD, _SETFD, _GETFL, _DUPFD_CLOEXEC = 0, 1, 2, 3, 1030
"""linux/fcntl.h. Without F_SETFL, since O_ASYNC is one of its flags; F_SETOWN and F_SETSIG choose
whom that signals, F_SETLEASE and F_NOTIFY signal, and F_SETPIPE_SZ takes the kernel's memory."""
_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET, _WAKE_BITSET = 0, 1, 3, 4, 5, 9, 10
_FUTEX_FLAGS = 128 | 256
"""linux/futex.h: FUTEX_PRIVATE_FLAG, _CLOCK_REALTIME. The operations on PI futexes, which look up
another process by its id, are left out."""
_ADVICE = (0, 1, 2, 3)
"""NORMAL, RANDOM, SEQUENTIAL, WILLNEED, of fadvise and madvise alike. Not DONTNEED of fadvise, and
not MADV_PAGEOUT: they take files out of the memory of all who read them."""
_MADVICE = (*_ADVICE, 4, 8, 14, 15, 16, 17, 102, 103)
"""DONTNEED, FREE, (NO)HUGEPAGE, DONTDUMP, DODUMP, GUARD_INSTALL, GUARD_REMOVE
(asm-generic/mman-common.h). HWPOISON and SOFT_OFFLINE take memory from the machine, MERGEABLE
lets it be compared with others'."""
_PROT_WRITE, _PROT_EXEC, _NO_FILE = 2, 4, 0x20
"""The last is MAP_ANONYMOUS (asm-generic/mman-common.h)."""
_BARRIERS = (0, 1 << 3, 1 << 4)
"""MEMBARRIER_CMD_QUERY, _PRIVATE_EXPEDITED, _REGISTER_PRIVATE_EXPEDITED: of this process alone."""
_PR_SET_NAME = 15
_TCGETS, _FIOCLEX = 0x5401, 0x5451
_NEWER = 424
_ALL_BITS = 0xFFFFFFFF

_LOAD, _AND, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
"""BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K (linux/bpf_common.h)."""
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
"""SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO (linux/seccomp.h)."""
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Where these stand in struct seccomp_data; an argument takes 8 bytes, the lower half first."""

_Instruction = tuple[int, int, int, int]
"""As in struct sock_filter: what is done, by how many to jump on if so and if not, with what."""

_SYS_SECCOMP = (317, 277)
_SET_MODE_FILTER = 1
_ALL_THREADS, _FULL_SPEED = 1 << 0, 1 << 2
"""SECCOMP_FILTER_FLAG_TSYNC, _SPEC_ALLOW.

Before 5.16 a filter turns speculation off unless it says so: that is for programs that keep
secrets from their own scripts, and costs more than all the rest.
"""


class _Argument(NamedTuple):
    """What an argument may be: of its `bits`, the others left aside, one of `values`."""

    number: int
    values: tuple[int, ...]
    bits: int = _ALL_BITS


class _Rule(NamedTuple):
    """A call that is allowed if all of these arguments are; there may be several for one call."""

    name: str
    numbers: tuple[int, int]
    """On x86-64, on aarch64; none is -1."""
    arguments: tuple[_Argument, ...]


def _rules(column: int) -> list[_Rule]:
    unopened = _ALL_BITS ^ (_OPENED | _LARGE[column])
    unpiped = _ALL_BITS ^ (os.O_CLOEXEC | os.O_NONBLOCK)  # as O_NOTIFICATION_PIPE
    commands = (_DUPFD, _GETFD, _SETFD, _GETFL, _DUPFD_CLOEXEC)
    waits = (_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET, _WAKE_BITSET)
    me = os.getpid()
    return [
        _Rule("futex", (202, 98), (_Argument(1, waits, _ALL_BITS ^ _FUTEX_FLAGS),)),  # most calls
        _Rule("mmap", (9, 222), (_Argument(2, (0,), _PROT_EXEC),)),
        # A library may be loaded late, as the detector of faces is: a file, and not to be written.
        _Rule("mmap", (9, 222), (_Argument(2, (0,), _PROT_WRITE), _Argument(3, (0,), _NO_FILE))),
        _Rule("mprotect", (10, 226), (_Argument(2, (0,), _PROT_EXEC),)),
        _Rule("madvise", (28, 233), (_Argument(2, _MADVICE),)),
        _Rule("mbind", (237, 235), (_Argument(5, (0,)),)),  # moves no page; libgomp does
        _Rule("membarrier", (324, 283), (_Argument(0, _BARRIERS),)),  # musl does
        _Rule("open", (2, -1), (_Argument(1, (0,), unopened),)),
        _Rule("openat", (257, 56), (_Argument(2, (0,), unopened),)),
        _Rule("fcntl", (72, 25), (_Argument(1, commands),)),
        _Rule("fadvise64", (221, 223), (_Argument(3, _ADVICE),)),
        _Rule("ioctl", (16, 29), (_Argument(1, (_TCGETS, _FIOCLEX)),)),  # Python's open() does
        _Rule("pipe2", (293, 59), (_Argument(1, (0,), unpiped),)),
        _Rule("clone", (56, 220), (_Argument(0, (_THREAD, _THREAD | _DETACHED)),)),
        _Rule("prctl", (157, 167), (_Argument(0, (_PR_SET_NAME,)),)),  # threads are named
        _Rule("tgkill", (234, 131), (_Argument(0, (me,)),)),  # abort() does
        _Rule("prlimit64", (302, 261), (_Argument(0, (0,)),)),  # of no other process
        _Rule("sched_getparam", (143, 121), (_Argument(0, (0, me)),)),
        _Rule("sched_getscheduler", (145, 120), (_Argument(0, (0, me)),)),
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
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUALS, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for rule in _rules(column):
        code += _tests(rule, rule.numbers[column])
    for line in _ALLOWED.split("\n"):
        fields = line.split()
        for number in fields[1 + column :: 3]:
            if number != "-":
                code += [(_EQUALS, 0, 1, int(number)), (_RETURN, 0, 0, _ALLOW)]
    code += [
        (_AT_LEAST, 0, 1, _NEWER),  # with x32's numbers, which have a high bit
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def _tests(rule: _Rule, number: int) -> list[_Instruction]:
    """Write a rule, between whose end and the next one the call's number is loaded again."""
    if number < 0:
        return []
    code: list[_Instruction] = [(_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _NUMBER)]
    for argument in reversed(rule.arguments):
        values = argument.values
        failed = len(code) - 1  # to where the number is loaded again
        tests = [
            (_EQUALS, len(values) - 1 - place, 0 if place < len(values) - 1 else failed, value)
            for place, value in enumerate(values)
        ]
        code = [
            (_LOAD, 0, 0, _ARGUMENTS + 8 * argument.number),
            (_AND, 0, 0, argument.bits),
            *tests,
            *code,
        ]
    return [(_EQUALS, 0, len(code), number), *code]
