from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.geometry import (
    ALIGNMENT,
    cover_size,
    displayed,
    fit_size,
    output_size,
    place_aligned,
    place_around,
    whole_size,
    window_size,
)
from micropic.domain.model import Anchor, Box, FocusPoint, Mode, Size

_CASES = [
    # source, box, fit, cover
    ((4000, 3000), (300, 200), (267, 200), (300, 225)),
    ((3000, 4000), (300, 200), (150, 200), (300, 400)),
    ((600, 400), (300, 200), (300, 200), (300, 200)),
    ((300, 200), (300, 200), (300, 200), (300, 200)),
    ((30, 20), (300, 200), (30, 20), (300, 200)),
    ((30, 30), (300, 200), (30, 30), (300, 300)),
    ((1000, 100), (300, 200), (300, 30), (2000, 200)),
    ((100, 1000), (300, 200), (20, 200), (300, 3000)),
    ((10_000, 1), (100, 100), (100, 1), (1_000_000, 100)),
    ((1, 10_000), (100, 100), (1, 100), (100, 1_000_000)),
    ((1, 1), (300, 200), (1, 1), (300, 300)),
    ((4000, 3000), (1, 1), (1, 1), (2, 1)),
    ((1, 1), (1, 1), (1, 1), (1, 1)),
    ((3, 2), (2, 2), (2, 1), (3, 2)),
    ((1001, 1000), (1000, 1000), (1000, 999), (1001, 1000)),
    ((999, 1000), (500, 500), (500, 500), (500, 501)),
]


@pytest.mark.parametrize(("source", "box", "fit", "cover"), _CASES)
def test_sizes(
    source: tuple[int, int], box: tuple[int, int], fit: tuple[int, int], cover: tuple[int, int]
) -> None:
    of, inside = Size(*source), Size(*box)
    assert fit_size(of, inside) == fit
    assert cover_size(of, inside) == cover
    assert output_size(of, Mode.FILL, inside) == box
    assert output_size(of, Mode.FIT, inside) == fit
    assert whole_size(of, Mode.FILL, inside) == cover
    assert whole_size(of, Mode.FIT, inside) == fit


@pytest.mark.parametrize(
    ("picture", "output", "window"),
    [
        ((500, 375), (300, 200), (500, 333)),
        ((300, 225), (300, 200), (300, 200)),
        ((375, 500), (300, 200), (375, 250)),
        ((100, 100), (300, 200), (100, 67)),
        ((1, 1), (300, 200), (1, 1)),
        ((10, 10), (8192, 1), (10, 1)),
        ((10, 10), (1, 8192), (1, 10)),
    ],
)
def test_a_window_is_the_largest_of_the_outputs_shape(
    picture: tuple[int, int], output: tuple[int, int], window: tuple[int, int]
) -> None:
    assert window_size(Size(*picture), Size(*output)) == window


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_from_five_on_lie_on_their_side(orientation: int) -> None:
    lying = orientation in {5, 6, 7, 8}
    assert displayed(Size(4, 3), orientation) == (Size(3, 4) if lying else Size(4, 3))


@pytest.mark.parametrize(
    ("anchor", "corner"),
    [
        (Anchor.NORTHWEST, (0, 0)), (Anchor.NORTH, (50, 0)), (Anchor.NORTHEAST, (100, 0)),
        (Anchor.WEST, (0, 30)), (Anchor.CENTER, (50, 30)), (Anchor.EAST, (100, 30)),
        (Anchor.SOUTHWEST, (0, 60)), (Anchor.SOUTH, (50, 60)), (Anchor.SOUTHEAST, (100, 60)),
    ],
)  # fmt: skip
def test_an_anchor_places_the_window(anchor: Anchor, corner: tuple[int, int]) -> None:
    place = place_aligned(Size(300, 160), Size(200, 100), ALIGNMENT[anchor])
    assert place == Box(*corner, 200, 100)


def test_every_anchor_that_looks_at_no_picture_has_an_alignment() -> None:
    assert ALIGNMENT.keys() == set(Anchor) - {Anchor.SMART, Anchor.FACE}


@pytest.mark.parametrize(
    ("focus", "corner"),
    [
        ((0.5, 0.5), (50, 30)),
        ((0.4, 0.5), (20, 30)),
        ((0, 0), (0, 0)),
        ((1, 1), (100, 60)),
        ((0.1, 0.9), (0, 60)),
    ],
)
def test_a_focus_point_stands_as_near_to_the_middle_as_it_can(
    focus: tuple[float, float], corner: tuple[int, int]
) -> None:
    place = place_around(Size(300, 160), Size(200, 100), FocusPoint(*focus))
    assert place == Box(*corner, 200, 100)


# --- properties ------------------------------------------------------------------------------

_pictures = st.builds(Size, st.integers(1, 65_535), st.integers(1, 65_535))
_boxes = st.builds(Size, st.integers(1, 8192), st.integers(1, 8192))
_points = st.builds(FocusPoint, st.floats(0, 1), st.floats(0, 1))


@given(_pictures, _boxes)
def test_fit_stands_in_the_box_and_is_never_enlarged(source: Size, box: Size) -> None:
    fit = fit_size(source, box)
    assert 1 <= fit.width <= min(source.width, box.width)
    assert 1 <= fit.height <= min(source.height, box.height)
    assert fit == source or fit.width == box.width or fit.height == box.height


@given(_pictures, _boxes)
def test_fit_keeps_the_shape_to_half_a_pixel(source: Size, box: Size) -> None:
    scale = min(Fraction(1), Fraction(box.width, source.width), Fraction(box.height, source.height))
    nearly_half = Fraction(1, 2) + Fraction(1, 10**6)
    for side, exact in zip(fit_size(source, box), (side * scale for side in source), strict=True):
        assert side == 1 if exact < 1 else abs(side - exact) <= nearly_half


@given(_pictures, _boxes)
def test_cover_covers_the_box_and_is_the_smallest_that_does(source: Size, box: Size) -> None:
    cover = cover_size(source, box)
    assert cover.width >= box.width
    assert cover.height >= box.height
    scale = max(Fraction(box.width, source.width), Fraction(box.height, source.height))
    for side, exact in zip(cover, (side * scale for side in source), strict=True):
        assert exact <= side < exact + 1


@given(_pictures, _boxes)
def test_a_window_lies_inside_the_picture_and_touches_two_edges(
    picture: Size, output: Size
) -> None:
    window = window_size(picture, output)
    assert 1 <= window.width <= picture.width
    assert 1 <= window.height <= picture.height
    assert window.width == picture.width or window.height == picture.height


@given(_boxes, _boxes)
def test_a_picture_of_the_cover_size_needs_no_scaling_of_its_window(
    source: Size, box: Size
) -> None:
    window = window_size(cover_size(source, box), box)
    assert abs(window.width - box.width) <= 1
    assert abs(window.height - box.height) <= 1


@given(_pictures, _boxes, _points)
def test_a_placed_window_lies_inside_the_picture(
    picture: Size, output: Size, point: FocusPoint
) -> None:
    window = window_size(picture, output)
    for place in (place_aligned(picture, window, point), place_around(picture, window, point)):
        assert place[2:] == window
        assert 0 <= place.left <= picture.width - window.width
        assert 0 <= place.top <= picture.height - window.height
