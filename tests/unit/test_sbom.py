"""The bill of materials names all of the runtime, follows its schema, and is the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pyvips
from packaging.markers import Marker

from scripts import lockfile, sbom

LOCK = Path(__file__).parents[2] / "requirements" / "image.txt"


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def packages() -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in sbom.bill(LOCK)["components"]}


def test_it_follows_the_schema_and_what_does_not_is_found() -> None:
    bill = sbom.bill(LOCK)
    assert not sbom.faults(json.dumps(bill))
    assert sbom.faults(json.dumps(bill | {"components": [{"name": "typeless"}]}))


def test_it_is_the_same_each_time_and_has_no_time() -> None:
    assert sbom.bill(LOCK) == sbom.bill(LOCK)
    assert "timestamp" not in sbom.bill(LOCK)["metadata"]


def test_it_has_the_time_that_a_reproducible_build_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    without = sbom.bill(LOCK)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    bill = sbom.bill(LOCK)
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert bill["serialNumber"] != without["serialNumber"]
    assert not sbom.faults(json.dumps(bill))


def test_all_that_is_locked_for_here_is_there(packages: dict[str, dict[str, Any]]) -> None:
    here = [one for one in lockfile.read(LOCK) if not one.marker or Marker(one.marker).evaluate()]
    assert {one.name: one.version for one in here} == {
        name: node["version"] for name, node in packages.items()
    }
    for one in here:
        assert [node["content"] for node in packages[one.name]["hashes"]] == [
            digest for _, digest in one.hashes
        ]
        assert packages[one.name]["licenses"]


def test_each_is_needed_by_something() -> None:
    bill = sbom.bill(LOCK)
    needed = {ref for node in bill["dependencies"] for ref in node["dependsOn"]}
    assert needed == {node["bom-ref"] for node in bill["components"]}


def test_codecs_in_wheels_are_named_with_their_versions(
    packages: dict[str, dict[str, Any]],
) -> None:
    (libvips,) = packages["pyvips-binary"]["components"]
    assert libvips["version"] == ".".join(str(pyvips.version(part)) for part in range(3))
    built_with = {each["value"] for each in libvips["properties"]}
    assert built_with >= {"libheif", "libjpeg", "libpng", "libtiff-4", "libwebp", "librsvg-2.0"}
    (turbo,) = packages["simplejpeg"]["components"]
    assert turbo["version"].count(".") == 2
    assert any(node["name"] == "libwebp" for node in packages["pillow"]["components"])


def test_another_version_than_the_locked_one_is_no_bill(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    for line in ("numpy==0.1", "no-such-package==1.0"):
        lock.write_text(f"{line} \\\n    --hash=sha256:aa\n")
        with pytest.raises(sbom.NotInstalledError, match="is installed"):
            sbom.bill(lock)
