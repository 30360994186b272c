"""What keeps a render process to its work, should a picture get the better of a codec.

| what | by | so that it |
|---|---|---|
| limits | setrlimit(2) | ends, instead of taking the machine's memory, time or files |
| privileges | prctl(2), `no_new_privs` | gains none by running something |
| system calls | seccomp(2), `seccomp.py` | has no network, starts nothing, changes no file |
| files | landlock(7) | reads what codecs need, and neither settings nor the cache |

It needs no scratch directory, and has none: pictures and previews lie in memory. Where the
kernel lacks one of these the others hold; `Sandbox.missing` says which, and why.

Landlock holds for the thread that asks for it and for those that this one starts. `confine` is
therefore called before a codec has started any.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from micropic.imaging import seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
"""linux/prctl.h."""

_OPEN_FILES = 64
"""Fonts are the most of them."""
_CPU_FOR_A_SECOND = 4
"""Seconds of CPU time that a picture may take for each that its render may: of all threads."""

_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
"""The same on every machine."""
_VERSION = 1
"""LANDLOCK_CREATE_RULESET_VERSION: asks for the ABI."""
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files an ABI knows, the first bits: 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV."""
_NETWORK = 0b11
"""LANDLOCK_ACCESS_NET_BIND_TCP, _CONNECT_TCP: since ABI 4."""
_SCOPES = 0b11
"""LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, _SIGNAL: since ABI 6."""

_READABLE = (
    # libraries, what these load late, and what they ask of the machine
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"),
    *("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system"),
    *("/proc/sys/vm/overcommit_memory", "/usr/share/locale", "/usr/lib/locale"),
    # fonts, for the text in an SVG
    *("/etc/fonts", "/var/cache/fontconfig", "/usr/share/fontconfig", "/usr/share/fonts"),
    *("/usr/local/share/fonts", "/usr/X11R6/lib/X11/fonts", "/usr/share/X11/fonts"),
    *("~/.fonts", "~/.local/share/fonts", "~/.config/fontconfig", "~/.cache/fontconfig"),
)
"""With what Python imports from, all that a render process may read, where it is there at all."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What holds a process."""

    active: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """With the reason."""


def bound(max_memory: int) -> None:
    """Bound what a picture can make this process take; `max_memory` is address space in bytes."""
    for what, most in {
        resource.RLIMIT_AS: max_memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_FSIZE: max_memory,  # of the memory file, too: a preview was in memory
    }.items():
        _, allowed = resource.getrlimit(what)
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)  # noqa: PLW2901
        resource.setrlimit(what, (most, most))
    # Processes are counted by user, the service's threads with them: to bound them is seccomp's.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def allow_time(seconds: float) -> None:
    """Let this process take CPU time for a render of `seconds`, beyond what it has taken.

    The service kills it when the time is up. This is for a service that cannot.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    until = int(time.process_time() + seconds * _CPU_FOR_A_SECOND) + 1
    until = until if most == resource.RLIM_INFINITY else min(until, most)
    resource.setrlimit(resource.RLIMIT_CPU, (until, most))


def confine() -> Sandbox:
    """Take from this process, for good, all that a codec has no need of."""
    sandbox = Sandbox(active=["limits"])
    steps: dict[str, Callable[[], str | None]] = {
        "no_new_privs": _give_up_privileges,
        "landlock": _restrict_files,
        "seccomp": seccomp.install,
    }
    for name, step in steps.items():
        try:
            sandbox.active.append(f"{name}{step() or ''}")
        except OSError as error:
            sandbox.missing.append(f"{name}: {error.strerror}")
    return sandbox


def _give_up_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)  # nobody of this user may look into it, either


def _restrict_files() -> str:
    """Leave nothing to write and little to read; give the ABI.

    Raises:
        OSError: the kernel has no Landlock.

    """
    abi = _syscall(_SYS_LANDLOCK_CREATE, None, 0, _VERSION)
    files = (1 << next(bits for since, bits in reversed(_RIGHTS.items()) if abi >= since)) - 1
    network = _NETWORK if abi >= 4 else 0  # noqa: PLR2004
    scopes = _SCOPES if abi >= 6 else 0  # noqa: PLR2004
    # struct landlock_ruleset_attr, of which an older kernel takes less.
    handled = struct.pack("=QQQ", files, network, scopes)
    ruleset = _syscall(_SYS_LANDLOCK_CREATE, handled, 8 + 8 * bool(network) + 8 * bool(scopes), 0)
    try:
        for path in _readable():
            _allow_reading(ruleset, path)
        _syscall(_SYS_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return f" (ABI {abi})"


def _readable() -> Iterable[Path]:
    libraries = (f"{prefix}/lib" for prefix in (sys.prefix, sys.base_prefix))
    paths = [*sys.path, *libraries, *map(os.path.expanduser, _READABLE)]
    return {Path(path) for path in paths if Path(path).is_absolute()}


def _allow_reading(ruleset: int, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights = _READ_FILE | (_READ_DIRECTORY if path.is_dir() else 0)
            rule = struct.pack("=Qi", rights, descriptor)  # landlock_path_beneath_attr
            _syscall(_SYS_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)


def _prctl(what: int, value: int) -> None:
    _check(_libc().prctl(what, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3))


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _check(_libc().syscall(ctypes.c_long(number), *converted))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
