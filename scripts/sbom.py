"""Write the bill of materials of the image, as CycloneDX 1.6: `python -m scripts.sbom`.

Names, versions and hashes are those of requirements/image.txt, as far as it holds on this
platform and for this Python; licences are those that the installed packages tell. Of what the
wheels bundle there is what they tell of it: by a bill of their own (PEP 770), or by their version
strings, as `micropic doctor` reports. Equal locks give equal files: no time but that of
SOURCE_DATE_EPOCH is in it, and the serial number comes from the content.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker
from packaging.requirements import Requirement

from scripts import bundled
from scripts.lockfile import Locked, canonical, read

_NAME = "micropic"
_LOCK = Path("requirements/image.txt")
_ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
}
"""What packages call licences that have an identifier."""
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST_NAME = 60
"""Characters; what is longer is the text of a licence."""

Node = dict[str, Any]


class NotInstalledError(Exception):
    """What is installed is not what is locked."""


def bill(lock: Path = _LOCK) -> Node:
    """Give the bill of what `lock` asks for here.

    Raises:
        NotInstalledError: a package is missing, or is another version.

    """
    here = [one for one in read(lock) if not one.marker or Marker(one.marker).evaluate()]
    known = {canonical(one.name): one.purl for one in here}
    content: Node = {
        "metadata": {
            "component": _component(_NAME, metadata.version(_NAME)) | {"type": "application"}
        },
        "components": [_library(one) for one in here],
        "dependencies": [
            {"ref": _purl(name), "dependsOn": _needs(name, known)} for name in (_NAME, *known)
        ],
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        content["metadata"]["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **content,
    }


def faults(text: str) -> str:
    """Tell where a bill does not follow the schema; empty: nowhere."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return str(error) if error else ""


def _library(locked: Locked) -> Node:
    try:
        version = metadata.version(locked.name)
    except metadata.PackageNotFoundError:
        version = "nothing"
    if version != locked.version:
        msg = f"{locked.name} {locked.version} is locked, {version} is installed"
        raise NotInstalledError(msg)
    hashes = [
        {"alg": _ALGORITHMS[algorithm], "content": digest} for algorithm, digest in locked.hashes
    ]
    node = _component(locked.name, locked.version) | {"hashes": hashes}
    if parts := bundled.parts(locked.name):
        node["components"] = parts
    return node


def _component(name: str, version: str) -> Node:
    node = {
        "type": "library",
        "bom-ref": _purl(name),
        "name": name,
        "version": version,
        "purl": _purl(name),
    }
    licences = _licences(name)
    return node | ({"licenses": licences} if licences else {})


def _purl(name: str) -> str:
    return Locked(name, metadata.version(name), "", ()).purl


def _licences(name: str) -> list[Node]:
    told = metadata.metadata(name).json
    if expression := told.get("license_expression"):
        return [{"expression": expression}]
    named = [
        line.removeprefix(_CLASSIFIER)
        for line in told.get("classifier", [])
        if line.startswith(_CLASSIFIER)
    ]
    text = str(told.get("license", ""))
    if text and "\n" not in text and len(text) <= _LONGEST_NAME:
        named = [text]
    return [_licence(_SPDX.get(each, each)) for each in named]


def _licence(name: str) -> Node:
    """Give a licence by its SPDX identifier, which has no space, or by its name."""
    return {"license": {"name": name} if " " in name else {"id": name}}


def _needs(name: str, known: dict[str, str]) -> list[str]:
    """Give what a package depends on here, with any of its extras, as far as it is locked."""
    extras = ["", *(metadata.metadata(name).get_all("Provides-Extra") or [])]
    wanted = [Requirement(line) for line in metadata.requires(name) or []]
    needed = {
        canonical(each.name)
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }
    return sorted(known[each] for each in needed & known.keys())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write it, if it follows the schema."""
    parser = argparse.ArgumentParser(prog="python -m scripts.sbom", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="a file; else standard output")
    output = parser.parse_args(arguments).output
    try:
        made = bill()
    except NotInstalledError as error:
        print(f"sbom: {error}; run make .venv/development", file=sys.stderr)
        return 1
    text = json.dumps(made, indent=2) + "\n"
    if wrong := faults(text):
        print(f"sbom: not as the schema has it: {wrong}", file=sys.stderr)
        return 1
    if output is None:
        print(text, end="")
        return 0
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    print(f"{output}: {len(made['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
