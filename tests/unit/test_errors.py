from __future__ import annotations

import json
import re

import pytest

from micropic.domain import errors
from micropic.domain.errors import BY_CODE, MicropicError, OriginRefused, Overloaded, from_wire


def _tree(root: type[MicropicError]) -> list[type[MicropicError]]:
    return [root, *(cls for child in root.__subclasses__() for cls in _tree(child))]


def test_every_error_of_the_tree_has_a_code_of_its_own() -> None:
    tree = _tree(MicropicError)
    assert {cls.code: cls for cls in tree} == BY_CODE
    assert len(BY_CODE) == len(tree)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in BY_CODE)


def test_the_drawing_shows_the_tree() -> None:
    drawn = re.findall(r"^(?:[├└]── )?([A-Z]\w+)(?:  .*)?$", errors.__doc__ or "", re.MULTILINE)
    assert drawn == [cls.__name__ for cls in BY_CODE.values()]


@pytest.mark.parametrize(
    "error",
    [
        *(cls("What happened: é") for cls in BY_CODE.values() if cls is not OriginRefused),
        Overloaded("Too much.", retry_after=7),
        OriginRefused("No.", 401, {"WWW-Authenticate": 'Basic realm="é"'}),
        OriginRefused("No.", 404, {}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_a_process_boundary_whole(error: MicropicError) -> None:
    again = from_wire(json.loads(json.dumps(error.to_wire())))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error) == error.detail


def test_who_is_too_late_is_told_so_by_an_error_of_that_kind() -> None:
    late = errors.too_late()
    assert isinstance(late, errors.OUT_OF_TIME)
    assert errors.from_wire(late.to_wire()).detail == late.detail != ""
