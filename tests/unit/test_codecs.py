"""The codecs are those of the wheels, not of whatever the system has."""

import pyvips


def test_libvips_is_the_wheels_own() -> None:
    version = tuple(pyvips.version(part) for part in range(3))
    assert version >= (8, 18, 0), "pyvips was built against a libvips of the system: see Makefile"
