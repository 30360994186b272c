"""What lies in packages of Debian, npm and PyPI, unpacked into the cache and installed nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

Unpack = Callable[[Path], bool]
"""Unpacks a package into a folder, and says whether it was to be had."""


def debian(name: str, cache: Path) -> Path | None:
    """Give the folder of an unpacked Debian package; None if it is not to be had."""
    return _kept(cache / "debian" / name, lambda folder: _unpack_debian(name, folder))


def pypi(requirement: str, cache: Path) -> Path | None:
    """Give the folder of an unpacked wheel, as `name==version`; None if it is not to be had."""
    return _kept(cache / "pypi" / requirement, lambda folder: _unpack_wheel(requirement, folder))


def npm(specifier: str, cache: Path) -> Path | None:
    """Give the folder of an npm package, as `name@version`; None if it is not to be had."""
    return _kept(cache / "npm" / specifier, lambda folder: _unpack_npm(specifier, folder))


def _kept(target: Path, unpack: Unpack) -> Path | None:
    """Unpack to `target` unless it is there, whole or not at all."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch) / "unpacked"
        folder.mkdir()
        if not unpack(folder):
            return None
        folder.rename(target)
    return target


def _unpack_debian(name: str, folder: Path) -> bool:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    scratch = folder.parent
    fetched = _succeeds("apt-get", "download", name, cwd=scratch) or (
        os.geteuid() == 0
        and _succeeds("apt-get", "update", cwd=scratch)
        and _succeeds("apt-get", "download", name, cwd=scratch)
    )
    package = next(scratch.glob("*.deb"), None)
    return bool(fetched and package) and _succeeds(
        "dpkg-deb", "-x", str(package), str(folder), cwd=scratch
    )


def _unpack_wheel(requirement: str, folder: Path) -> bool:
    scratch = folder.parent
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:")
    fetched = _succeeds(*pip, requirement, cwd=scratch)
    wheel = next(scratch.glob("*.whl"), None)
    if not (fetched and wheel):
        return False
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return True


def _unpack_npm(specifier: str, folder: Path) -> bool:
    scratch = folder.parent
    fetched = shutil.which("npm") and _succeeds("npm", "pack", specifier, cwd=scratch)
    package = next(scratch.glob("*.tgz"), None)
    if not (fetched and package):
        return False
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    return True


def _succeeds(*command: str, cwd: Path) -> bool:
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False).returncode == 0
