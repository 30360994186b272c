from __future__ import annotations

from pathlib import Path

import pytest

from micropic.adapters import cached_read
from micropic.adapters.cached_read import read_cached


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_was_just_written_is_read_whole_where_the_kernel_can_tell(tmp_path: Path) -> None:
    """A file system, or a sandbox, may refuse to tell: then a thread reads."""
    file = tmp_path / "file"
    for data in (b"x", b"owl" * 40_000):
        file.write_bytes(data)
        assert read_cached(str(file)) in {data, None}


def test_what_is_not_there_or_too_long_is_left_to_a_thread(tmp_path: Path) -> None:
    long = tmp_path / "long"
    long.write_bytes(b"x" * (256 * 1024 + 1))
    assert read_cached(str(long)) is None
    assert read_cached(str(tmp_path / "missing")) is None


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for size in (1, 10**6):
        file.write_bytes(b"x" * size)
        before = open_descriptors()
        read_cached(str(file))
        assert open_descriptors() == before


def test_elsewhere_than_on_linux_a_thread_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    monkeypatch.setattr(cached_read, "_RWF_NOWAIT", None)
    assert read_cached(str(file)) is None
