"""Whether a machine is fit to run a service: one function a check, each with what to do."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.metadata
import io
import os
import resource
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pyvips
from PIL import Image, features

from micropic.domain import urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Format
from micropic.imaging import extras
from micropic.imaging.kinds import Kind
from micropic.imaging.render_process import RenderProcess
from micropic.ports import Cache

_LEAST_LIBVIPS = (8, 18)
_LEAST_FILES = 4096
_PATIENCE = 10.0
"""Seconds for one preview, or for the broker."""
_SAID = 200
"""Characters of a dying process's last words that are shown."""
_TRIES, _PAUSE = 6, 0.1
"""How often a cache over the network is asked, and the seconds between: first it connects."""
_TIME_ERROR = 5
"""What adjtimex(2) gives where nothing keeps the clock right."""
_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48">'
    b'<rect width="64" height="48" fill="#c82828"/><text x="4" y="30">Text</text></svg>'
)


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    detail: str
    advice: str = ""
    """What to do, if there is something to do."""


class Machine(NamedTuple):
    """What the render processes may take of the machine."""

    cores: int
    slots: int
    max_memory: int
    """Bytes of address space, each."""
    has_private: bool = False
    """Whether there may be as many again, for private pictures."""


def settings(given: int, notes: Iterable[str]) -> Finding:
    """Tell of settings that are not taken as they stand; wrong ones have come up before."""
    if doubts := "; ".join(notes):
        return Finding("settings", Status.WARNING, doubts, "Write them as they are taken.")
    return Finding("settings", Status.OK, f"{given} given, the others are the defaults")


def codecs() -> Finding:
    """Tell which libraries decode and encode, and whether they are the wheels' own."""
    version = tuple(pyvips.version(part) for part in range(3))
    files = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    library = next((file for file in sorted(files) if "/libvips" in file), "")
    detail = (
        f"libvips {'.'.join(map(str, version))} ({library}), "
        f"simplejpeg {importlib.metadata.version('simplejpeg')} with its libjpeg-turbo, "
        f"Pillow {importlib.metadata.version('pillow')} "
        f"with libjpeg-turbo {features.version('libjpeg_turbo')}; "
        + ("faces are found" if extras.has_faces() else "no g=face without micropic[faces]")
    )
    if version >= _LEAST_LIBVIPS and "pyvips_binary.libs" in library:
        return Finding("codecs", Status.OK, detail)
    status = Status.BROKEN if version < _LEAST_LIBVIPS else Status.WARNING
    advice = (
        "pyvips was built against the system's libvips: install it again by "
        "PKG_CONFIG_LIBDIR=/nonexistent pip install --no-cache-dir --force-reinstall pyvips"
    )
    return Finding("codecs", status, detail, advice)


async def formats(process: RenderProcess) -> Finding:
    """Have a real render process decode each kind and encode each format."""
    failed: list[str] = []
    tries = [(kind, Format.JPEG, _picture(kind)) for kind in Kind]
    out = [form for form in Format if form is not Format.GIF]  # which is for animations
    tries += [(Kind.PNG, form, _picture(Kind.PNG)) for form in out]
    for kind, form, body in tries:
        transform = urls.parse_transform(f"fill/30/20/f={form},g=smart,q=80")
        try:
            await process.send(body, transform, _PATIENCE)
        except MicropicError as error:
            said = " ".join(process.said.split())[-_SAID:]
            failed.append(f"{kind} to {form}: {error.detail} {said}".strip())
        if not process.usable:
            break
    if not failed:
        return Finding("formats", Status.OK, f"in: {', '.join(Kind)}; out: {', '.join(out)}")
    advice = (
        "If memory lacks, raise RENDER_MAX_MEMORY. If it works with --render-sandbox=off, "
        "the sandbox lacks something: report it."
    )
    return Finding("formats", Status.BROKEN, "; ".join(failed), advice)


def sandbox(process: RenderProcess, *, wanted: bool) -> Finding:
    """Tell what keeps render processes to their work."""
    active = ", ".join(process.sandbox["active"])
    if not wanted:
        advice = "Leave render.sandbox on, unless a format needs it off."
        return Finding("sandbox", Status.WARNING, "off: only memory and files are bounded", advice)
    if missing := "; ".join(process.sandbox["missing"]):
        advice = "Use a kernel from 5.13 on, in a container that lets seccomp and landlock through."
        return Finding("sandbox", Status.WARNING, f"{active}; missing: {missing}", advice)
    return Finding("sandbox", Status.OK, active)


def memory(machine: Machine) -> Finding:
    """Compare what all render processes may take with what there is."""
    there = _memory_limit()
    processes = machine.slots * (1 + machine.has_private)
    most = processes * machine.max_memory
    detail = (
        f"{processes} render processes of {_mib(machine.max_memory)} at most, {_mib(there)} there"
    )
    if most <= there:
        return Finding("memory", Status.OK, detail)
    advice = "Lower RENDER_SLOTS or RENDER_MAX_MEMORY: large pictures at once could take it all."
    return Finding("memory", Status.WARNING, detail, advice)


def processors(machine: Machine) -> Finding:
    """Compare the render processes with the cores that may be used."""
    quota = _cpu_quota()
    detail = f"{machine.cores} cores for {machine.slots} render processes"
    if quota and quota < machine.cores:
        advice = f"Set RENDER_SLOTS={int(quota) + 1}: one more than cores."
        return Finding("cores", Status.WARNING, f"{detail}, but time for {quota:g}", advice)
    if machine.slots > 4 * machine.cores:
        return Finding("cores", Status.WARNING, detail, "Set RENDER_SLOTS=0: one more than cores.")
    return Finding("cores", Status.OK, detail)


def open_files() -> Finding:
    """Look at how many connections the service may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= _LEAST_FILES:
        return Finding("open files", Status.OK, f"up to {most}")
    advice = f"Raise it to {_LEAST_FILES} or more (LimitNOFILE=, ulimit -Hn, --ulimit nofile)."
    return Finding("open files", Status.WARNING, f"up to {most}: each client is one", advice)


def cache_directory(directory: Path, size: int) -> Finding:
    """Look whether the cache can be written, and has room for `size` bytes."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return unusable_directory(f"{there} cannot be written to")
    taken = sum(file.stat().st_blocks * 512 for file in _files(directory))
    room = shutil.disk_usage(there).free + taken
    detail = f"{directory}: {_mib(size)} at most, {_mib(taken)} taken, {_mib(room)} there"
    if room < size:
        return Finding("cache", Status.WARNING, detail, "Lower CACHE_SIZE or make room.")
    return Finding("cache", Status.OK, detail)


def unusable_directory(reason: str) -> Finding:
    """Return what is wrong with the cache directory."""
    advice = "Make it writable for this user, or choose another one by CACHE_DIRNAME."
    return Finding("cache", Status.BROKEN, reason, advice)


async def remote_cache(cache: Cache, trouble: Callable[[], str], where: str) -> Finding:
    """Ask a cache over the network; it tells of trouble after some faults in a row."""
    for _ in range(_TRIES):
        await cache.get("/fill/1/1//sample:doctor")
        if trouble():
            advice = "Start it, or mend its address; until then every preview is made anew."
            return Finding("cache", Status.BROKEN, f"{where}: {trouble()}", advice)
        await asyncio.sleep(_PAUSE)
    return Finding("cache", Status.OK, f"{where} answers")


async def broker(where: str, call: Callable[[], Awaitable[None]]) -> Finding:
    """Connect to RabbitMQ by a `call`, and hang up."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await call()
    except Exception as error:  # noqa: BLE001 # whatever it is, it is told
        advice = "Start RabbitMQ, or mend AMQP_HOST, AMQP_PORT, AMQP_USER and AMQP_PASSWORD."
        return Finding("broker", Status.BROKEN, f"{where}: {error or type(error).__name__}", advice)
    return Finding("broker", Status.OK, f"{where} lets us in")


def clock() -> Finding:
    """Ask the kernel whether something keeps the clock right: freshness and AMQP rely on it."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    if state not in {_TIME_ERROR, -1}:
        return Finding("clock", Status.OK, "kept right")
    advice = "Run chrony or systemd-timesyncd on the machine: proxies and previewers must agree."
    return Finding("clock", Status.WARNING, "nothing tells the kernel that it is right", advice)


def _picture(kind: Kind) -> bytes:
    if kind is Kind.SVG:
        return _SVG
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 40, 40)).save(file, kind.value)
    return file.getvalue()


def _files(directory: Path) -> Iterable[os.DirEntry[str]]:
    """Give the files below a directory, as far as they last."""
    folders = [str(directory)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue


def _memory_limit() -> int:
    """Give the bytes that this process and all of its control group may have."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limits += [int(word) for word in _cgroup(name) if word.isdigit()]
    return min(limits)


def _cpu_quota() -> float | None:
    """Give for how many cores a control group has time, if it bounds that."""
    match [
        *_cgroup("cpu.max"),
        *_cgroup("cpu/cpu.cfs_quota_us"),
        *_cgroup("cpu/cpu.cfs_period_us"),
    ]:
        case [quota, period] if quota.isdigit():
            return int(quota) / int(period)
    return None


def _cgroup(name: str) -> list[str]:
    try:
        return (Path("/sys/fs/cgroup") / name).read_text().split()
    except OSError:
        return []


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
