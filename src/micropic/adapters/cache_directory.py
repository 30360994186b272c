"""A cache directory that one process owns, and that never touches files of others.

The directory is micropic's own if it contains the mark, a `CACHEDIR.TAG` with a line of ours
(bford.info/cachedir), or if it is empty, or if an earlier version has clearly made it. A directory
that is anything else (the root of a volume, /var) keeps all it has: the cache then lies in its
subdirectory `micropic`. Files are removed only if they are regular, by names that only this
program gives, and without following a symbolic link.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from micropic.adapters.entry import VERSION

MARK = "CACHEDIR.TAG"
SOURCES = "sources"
"""The folder of a second cache within the first."""
SUBDIRECTORY = "micropic"
TEMPORARY = "tmp"

_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n# micropic-cache "
_MARK_TEXT = (
    _SIGNATURE + b"1\n# micropic stores previews here, and deletes them as it needs.\n"
    b"# About cache directory tags: https://bford.info/cachedir/\n"
)
_LOCK = "lock"
_TREE = f"v{VERSION}"
_ANY_TREE = re.compile(r"v[1-9]")
_MAGIC = b"MPIC"
"""What every entry begins with, in all versions of its format."""
_FOLDER = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{64}")
_TEMPORARY_NAME = re.compile(r"micropic-entry-[0-9a-f]{8}-[0-9]+")
_EARLIER_TEMPORARY_NAME = re.compile(r"[0-9]+")
_FOLDERS = 256
_PRIVATE = 0o700
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OPEN_FOLDER = _OPEN | os.O_RDONLY | os.O_DIRECTORY


class CacheDirectoryInUseError(Exception):
    """Another process owns the cache directory."""


class CacheDirectoryError(OSError):
    """The cache directory cannot be used."""


class CacheDirectory:
    """Claims a directory, makes its `folders` (relative, parents first) and owns it until closed.

    `path` is where the cache is: the directory, or its subdirectory `micropic`. Every directory
    has the mode 0700.

    Raises:
        CacheDirectoryInUseError: another process owns the directory.
        CacheDirectoryError: the directory cannot be made, written to or told from others' files.

    """

    def __init__(self, directory: Path, folders: Sequence[str]) -> None:
        self._folders = folders
        self.path = claim(directory)
        self._lock = self._owned()
        try:
            self._make_folders()
        except BaseException:
            os.close(self._lock)
            raise

    def restore(self) -> None:
        """Make what somebody has removed, and own it again.

        Raises:
            CacheDirectoryInUseError: another process has taken it over.
            CacheDirectoryError: it cannot be made, or something else has taken its place.

        """
        if not self._is_owned():
            if locate(self.path) != self.path:
                msg = f"{self.path} contains files of others now, or is a symbolic link"
                raise CacheDirectoryError(msg)
            claim(self.path)
            lock = self._owned()
            os.close(self._lock)
            self._lock = lock
        with _named_errors(self.path):
            _mark(self.path)
        self._make_folders()

    def close(self) -> None:
        """Give it up."""
        os.close(self._lock)

    def _make_folders(self) -> None:
        with _named_errors(self.path), _folder(self.path) as root:
            for folder in self._folders:
                parent, _, name = folder.rpartition("/")
                if parent:
                    with _folder(parent, root) as within:
                        _make_folder(name, within)
                else:
                    _make_folder(name, root)

    def _owned(self) -> int:
        with _named_errors(self.path), _folder(self.path) as root:
            lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | _OPEN, 0o600, dir_fd=root)
        try:
            set_mode(lock, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            msg = f"{self.path} belongs to another micropic process"
            raise CacheDirectoryInUseError(msg) from None
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _is_owned(self) -> bool:
        try:
            there = (self.path / _LOCK).lstat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._lock))


def locate(directory: Path) -> Path:
    """Return where a cache in `directory` is, itself or its subdirectory; nothing is made.

    `directory` itself may be a symbolic link, which is resolved here, once.

    Raises:
        CacheDirectoryError: neither of the two is ours, or free to be.

    """
    root = Path(os.path.realpath(directory))
    reasons = []
    for place in (root, root / SUBDIRECTORY):
        reason = _refusal(place)
        if not reason:
            return place
        reasons.append(f"{place} {reason}")
    msg = f"The cache directory cannot be used: {'; '.join(reasons)}"
    raise CacheDirectoryError(msg)


def claim(directory: Path) -> Path:
    """Make and mark the directory that `locate` finds, with the mode 0700.

    Raises:
        CacheDirectoryError: it cannot be made or written to.

    """
    place = locate(directory)
    with _named_errors(place):
        _make_path(place)
        _mark(place)
    return place


def clear_temporary(directory: Path) -> None:
    """Remove what was being written when an earlier process ended."""
    with contextlib.suppress(OSError), _folder(directory / TEMPORARY) as folder:
        for name in _regular_files(folder):
            earlier = _EARLIER_TEMPORARY_NAME.fullmatch(name) and _is_entry(name, folder)
            if earlier or _TEMPORARY_NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)


def temporary_names() -> Iterator[str]:
    """Yield names for entries that are being written, none twice; `clear_temporary` knows them."""
    token = secrets.token_hex(4)
    return (f"micropic-entry-{token}-{number}" for number in itertools.count())


def clear_versions(directory: Path, versions: Iterable[int]) -> None:
    """Remove the entries of earlier formats, and the folders that are empty without them."""
    with _folder(directory) as root:
        for version in versions:
            with contextlib.suppress(OSError), _folder(f"v{version}", root) as tree:
                for name in _folders_of(tree):
                    _clear_entries(name, tree)
            with contextlib.suppress(OSError):
                os.rmdir(f"v{version}", dir_fd=root)


def entries(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name and status of each entry below the folders of a version.

    Entries of an earlier version of this program may be readable by others: no longer.
    """
    with _folder(tree) as within:
        for name in _folders_of(within):
            with _folder(name, within) as folder, os.scandir(folder) as files:
                for file in files:
                    if not _is_entry_name(file.name, name):
                        continue
                    status = file.stat(follow_symlinks=False)
                    if not stat.S_ISREG(status.st_mode):
                        continue
                    # A hard link may be another program's file.
                    if status.st_mode & 0o077 and status.st_nlink == 1:
                        set_mode(file.name, 0o600, folder)
                    yield file.name, status


def set_mode(target: str | Path | int, mode: int, within: int | None = None) -> None:
    """Set a mode, whatever the umask is, if it can be set.

    The root of a volume may be another user's, and mounts such as vfat and SMB have no modes.
    """
    with contextlib.suppress(OSError):
        os.chmod(target, mode, dir_fd=within)


# --- whose it is -----------------------------------------------------------------------------


def _refusal(place: Path) -> str:
    """Return why a directory is not ours, nor free to be; empty: it is."""
    try:
        with _folder(place) as folder:
            return _refusal_of(folder)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be opened as a directory ({(error.strerror or '').lower()})"


def _refusal_of(folder: int) -> str:
    names = set(_names(folder))
    if misfit := _misfit(folder, names):
        return f"contains {misfit}, which micropic has not made so"
    if _is_marked(folder) or _is_earlier_cache(folder, names):
        return "" if _is_trusted(folder) else "belongs to another user"
    status = os.fstat(folder)
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
        return "belongs to another user, or to all"
    return "" if _is_free(folder, names) else "contains files of others"


def _misfit(folder: int, names: set[str]) -> str:
    """Return a name of ours that is a symbolic link, or of another kind than we make; or empty."""
    kinds = {MARK: stat.S_ISREG, _LOCK: stat.S_ISREG}
    kinds |= dict.fromkeys((TEMPORARY, SOURCES, _TREE), stat.S_ISDIR)
    for name in kinds.keys() & names:
        if not kinds[name](os.lstat(name, dir_fd=folder).st_mode):
            return name
    if _TREE in names:
        with _folder(_TREE, folder) as tree:
            for name in _folders_of(tree):
                if not stat.S_ISDIR(os.lstat(name, dir_fd=tree).st_mode):
                    return f"{_TREE}/{name}"
    return ""


def _is_trusted(folder: int) -> bool:
    """Return True if the owner, who could put anything in our place, is this user or root."""
    status = os.fstat(folder)
    return status.st_uid == 0 or _is_mine(status, folder)


def _is_marked(folder: int) -> bool:
    try:
        file = os.open(MARK, os.O_RDONLY | _OPEN, dir_fd=folder)
    except OSError:
        return False
    with os.fdopen(file, "rb") as mark:
        is_ours = mark.read(len(_SIGNATURE)) == _SIGNATURE
        return is_ours and _is_mine(os.fstat(file), folder)


def _is_mine(status: os.stat_result, folder: int) -> bool:
    return status.st_uid == os.geteuid() or status.st_uid == _own_id(folder)


def _own_id(folder: int) -> int:
    """Return the owner of what this process makes there; -1: it can make nothing.

    On some network file systems it is another one than the process has.
    """
    name = next(temporary_names())
    try:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=folder)
    except OSError:
        return -1
    try:
        return os.fstat(file).st_uid
    finally:
        os.close(file)
        os.unlink(name, dir_fd=folder)


def _is_earlier_cache(folder: int, names: set[str]) -> bool:
    """Return True if a version that did not mark its directory has made it.

    It has the lock, `tmp` and a tree of 256 folders with entries, all of this user.
    """
    if MARK in names or not {_LOCK, TEMPORARY} <= names:  # the mark would be another program's
        return False
    if not all(_is_mine(os.lstat(name, dir_fd=folder), folder) for name in (_LOCK, TEMPORARY)):
        return False
    return any(_is_tree(name, folder) for name in filter(_ANY_TREE.fullmatch, names))


def _is_tree(name: str, folder: int) -> bool:
    with contextlib.suppress(OSError), _folder(name, folder) as tree:
        inside = _folders_of(tree)
        is_whole = len(inside) == len(_names(tree)) == _FOLDERS
        is_ours = is_whole and _is_mine(os.fstat(tree), folder)
        return is_ours and all(_first_is_entry(each, tree) for each in inside)
    return False


def _first_is_entry(name: str, tree: int) -> bool:
    """Return True if the first file of a folder is an entry, or if it contains none."""
    with _folder(name, tree) as folder:
        first = next(_regular_files(folder), None)
        return first is None or (_is_entry_name(first, name) and _is_entry(first, folder))


def _is_free(folder: int, names: set[str]) -> bool:
    """Return True if nothing is there but what an interrupted claim leaves."""
    for name in names:
        if name == MARK:
            with os.fdopen(os.open(MARK, os.O_RDONLY | _OPEN, dir_fd=folder), "rb") as mark:
                if not _MARK_TEXT.startswith(mark.read(len(_MARK_TEXT) + 1)):
                    return False
        elif name == SOURCES:
            with _folder(SOURCES, folder) as sources:
                if not _is_marked(sources):
                    return False
        else:
            return False
    return True


# --- the work --------------------------------------------------------------------------------


@contextmanager
def _folder(path: str | Path, within: int | None = None) -> Iterator[int]:
    """Open a folder that is no symbolic link."""
    descriptor = os.open(path, _OPEN_FOLDER, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _named_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except CacheDirectoryError:
        raise
    except OSError as error:
        msg = (
            f"The cache directory {place} cannot be written to: {(error.strerror or '').lower()}. "
            "Give this user a directory for it by cache.dirname (CACHE_DIRNAME)"
        )
        raise CacheDirectoryError(msg) from error


def _make_path(place: Path) -> None:
    """Make a directory, and those above it that are missing."""
    try:
        place.mkdir(_PRIVATE)
    except FileNotFoundError:
        if place.parent == place:
            raise
        _make_path(place.parent)
        place.mkdir(_PRIVATE)
        set_mode(place, _PRIVATE)
    except FileExistsError:
        return
    else:
        set_mode(place, _PRIVATE)


def _make_folder(name: str, within: int) -> None:
    try:
        os.mkdir(name, _PRIVATE, dir_fd=within)
    except FileExistsError:
        pass
    else:
        set_mode(name, _PRIVATE, within)
    with _folder(name, within) as folder:
        _make_private(folder)


def _make_private(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode != _PRIVATE and not mode & stat.S_ISVTX:
        set_mode(folder, _PRIVATE)


def _mark(place: Path) -> None:
    with _folder(place) as folder:
        _make_private(folder)
        if _is_marked(folder):
            return
        mark = os.open(MARK, os.O_WRONLY | os.O_CREAT | _OPEN, 0o600, dir_fd=folder)
        with os.fdopen(mark, "wb") as file:
            set_mode(mark, 0o600)
            file.write(_MARK_TEXT)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as inside:
        return [each.name for each in inside]


def _folders_of(tree: int) -> list[str]:
    """Return the names of the folders that entries are in."""
    return list(filter(_FOLDER.fullmatch, _names(tree)))


def _regular_files(folder: int) -> Iterator[str]:
    with os.scandir(folder) as files:
        for file in files:
            if file.is_file(follow_symlinks=False):
                yield file.name


def _clear_entries(name: str, tree: int) -> None:
    with contextlib.suppress(OSError), _folder(name, tree) as folder:
        for file in _regular_files(folder):
            if _is_entry_name(file, name) and _is_entry(file, folder):
                os.unlink(file, dir_fd=folder)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=tree)


def _is_entry_name(name: str, folder: str) -> bool:
    return bool(_ENTRY.fullmatch(name)) and name.startswith(folder)


def _is_entry(name: str, folder: int) -> bool:
    """Return True if a file begins as an entry does, as far as it was written."""
    with os.fdopen(os.open(name, os.O_RDONLY | _OPEN, dir_fd=folder), "rb") as file:
        return _MAGIC.startswith(file.read(len(_MAGIC)))
