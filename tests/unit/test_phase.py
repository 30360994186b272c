from __future__ import annotations

import os

import pytest

from micropic.imaging import phase


def test_an_image_is_being_decoded_until_the_process_says_otherwise() -> None:
    file = phase.create()
    process = phase.Phase(file)
    assert phase.is_decoding(file)
    process.decoded()
    assert not phase.is_decoding(file)
    phase.begin(file)
    assert phase.is_decoding(file)


@pytest.mark.parametrize("length", [0, 2])
def test_the_process_can_neither_cut_nor_grow_the_file(length: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(phase.create(), length)
