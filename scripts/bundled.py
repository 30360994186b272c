"""What wheels bundle, as far as they tell it: components of CycloneDX 1.6."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import yaml

from scripts.lockfile import canonical

Node = dict[str, Any]

_TURBO = re.compile(rb"libjpeg-turbo version ([0-9.]+)")
_SUPPORT = re.compile(rb"\n[ -~]+ with ([ -~]+): true\b")
"""A line of how libvips was configured; it tells no versions."""


def parts(name: str) -> list[Node]:
    """Give what the installed wheel of a package bundles; empty: nothing that is known."""
    own = _OWN.get(canonical(name))
    return [*_told(name), *([own()] if own else [])]


def _told(name: str) -> Iterator[Node]:
    """Read the bills that lie in a wheel (PEP 770), one component a line of theirs."""
    seen = set()
    for file in metadata.files(name) or []:
        if file.parent.name != "sboms" or file.suffix != ".json":
            continue
        for node in json.loads(file.read_text()).get("components", []):
            itself = node.get("purl", "").startswith(f"pkg:pypi/{canonical(name)}@")
            known = node["name"], node.get("version")
            if itself or known in seen:
                continue
            seen.add(known)
            yield {"type": "library"} | {
                key: node[key]
                for key in ("type", "name", "version", "purl", "licenses")
                if node.get(key)
            }


def _libvips() -> Node:
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    (library,) = (
        file for file in metadata.files("pyvips-binary") or [] if file.name.startswith("libvips")
    )
    built_with = _SUPPORT.findall(library.read_binary())
    return _library("libvips", version, "pkg:github/libvips/libvips@v{}", "LGPL-2.1-or-later") | {
        "properties": [
            {"name": "micropic:built-with", "value": each.decode()} for each in built_with
        ]
    }


def _libjpeg_turbo() -> Node:
    (module,) = (
        Path(file.locate()) for file in metadata.files("simplejpeg") or [] if file.suffix == ".so"
    )
    found = _TURBO.search(module.read_bytes())
    version = found[1].decode() if found else ""
    return _library("libjpeg-turbo", version, "pkg:github/libjpeg-turbo/libjpeg-turbo@{}", "IJG")


def _openblas() -> Node:
    config: Any = np.show_config(mode="dicts")
    version = config["Build Dependencies"]["blas"]["version"]
    return _library("openblas", version, "pkg:github/OpenMathLib/OpenBLAS@v{}", "BSD-3-Clause")


def _libyaml() -> Node:
    version: str = yaml._yaml.get_version_string()  # noqa: SLF001 # told nowhere else
    return _library("libyaml", version, "pkg:github/yaml/libyaml@{}", "MIT")


def _library(name: str, version: str, purl: str, licence: str) -> Node:
    return {
        "type": "library",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": licence}}],
        "purl": purl.format(version),
    }


_OWN: dict[str, Callable[[], Node]] = {
    "numpy": _openblas,
    "pyvips-binary": _libvips,
    "pyyaml": _libyaml,
    "simplejpeg": _libjpeg_turbo,
}
"""By package: what its wheel bundles and has no bill of."""
