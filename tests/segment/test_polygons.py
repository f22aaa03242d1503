import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anymask.segment.errors import MaskError
from anymask.segment.polygons import Polygon, mask_to_polygons, polygons_to_mask


def blob(seed, size=(90, 120)):
    """Smooth noise above its median: round parts with holes."""
    noise = np.random.default_rng(seed).random(size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return smooth > np.median(smooth)


@settings(max_examples=400)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_the_exact_outline_gives_the_mask_back(mask):
    polygons = mask_to_polygons(mask)
    np.testing.assert_array_equal(polygons_to_mask(polygons, mask.shape), mask)
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    assert len(polygons) == parts
    for polygon in polygons:
        for ring in [polygon.exterior, *polygon.holes]:
            assert len(np.unique(ring, axis=0)) == len(ring), "a ring must not touch itself"


@given(st.integers(0, 1000), st.floats(0.5, 1.5))
@settings(max_examples=40, deadline=None)
def test_simplified_outlines_keep_the_mask_nearly(seed, tolerance):
    mask = blob(seed)
    exact, simple = mask_to_polygons(mask), mask_to_polygons(mask, tolerance)
    back = polygons_to_mask(simple, mask.shape)
    assert (back & mask).sum() / (back | mask).sum() > 0.95
    assert sum(len(p.exterior) for p in simple) < 0.9 * sum(len(p.exterior) for p in exact)


def test_rings_are_pixel_corners_with_holes_the_other_way_round():
    mask = np.zeros((6, 8), dtype=bool)
    mask[1:5, 2:7] = True
    mask[2:4, 3:5] = False
    (polygon,) = mask_to_polygons(mask)
    assert {tuple(point) for point in polygon.exterior.tolist()} == {(2, 1), (7, 1), (7, 5), (2, 5)}
    (hole,) = polygon.holes
    assert {tuple(point) for point in hole.tolist()} == {(3, 2), (5, 2), (5, 4), (3, 4)}
    assert polygon.area == 16
    assert cv2.contourArea(polygon.exterior, oriented=True) == 20
    assert cv2.contourArea(hole, oriented=True) == -4


def test_a_line_one_pixel_wide_has_an_outline():
    mask = np.zeros((3, 9), dtype=bool)
    mask[1, 2:7] = True
    (polygon,) = mask_to_polygons(mask, tolerance=0.4)
    np.testing.assert_array_equal(polygons_to_mask([polygon], mask.shape), mask)


def test_parts_come_largest_first_and_none_vanishes_however_coarse_the_tolerance():
    mask = np.zeros((40, 40), dtype=bool)
    mask[0, 0] = mask[10:30, 5:35] = mask[35:38, 35:38] = True
    areas = [polygon.area for polygon in mask_to_polygons(mask, tolerance=50)]
    assert areas == [600, 9, 1]


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    mask = np.zeros((9, 9), dtype=bool)
    mask[1:8, 1:8] = True
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    outer, island = mask_to_polygons(mask)
    assert (len(outer.holes), len(island.holes)) == (1, 0)
    assert (outer.area, island.area) == (24, 1)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(3, 7), st.just(2)),
        elements=st.integers(-80, 400).map(lambda n: n / 16),
    )
)
def test_rasterising_is_the_even_odd_rule_at_pixel_centres(ring):
    mask = polygons_to_mask([Polygon(ring)], (20, 22))
    shifted = ring.astype(np.float64)
    for y, x in np.random.default_rng(0).integers(0, (20, 22), (15, 2)):
        inside = False
        for (x0, y0), (x1, y1) in zip(shifted, np.roll(shifted, -1, axis=0), strict=True):
            if (y0 <= y + 0.5) != (y1 <= y + 0.5):
                crossing = x0 + (y + 0.5 - y0) / (y1 - y0) * (x1 - x0)
                if abs(crossing - x - 0.5) < 1e-9:
                    break
                inside ^= crossing < x + 0.5
        else:
            assert mask[y, x] == inside


def test_nothing_in_nothing_out():
    assert mask_to_polygons(np.zeros((4, 5), dtype=bool)) == []
    assert not polygons_to_mask([], (4, 5)).any()
    outside = Polygon(np.array([(50, 50), (60, 50), (60, 60)], dtype=np.float32))
    assert not polygons_to_mask([outside], (4, 5)).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda: mask_to_polygons(np.zeros((2, 2, 2), dtype=bool)),
        lambda: mask_to_polygons(np.ones((2, 2), dtype=bool), -1),
        lambda: mask_to_polygons(np.ones((2, 2), dtype=bool), float("nan")),
        lambda: polygons_to_mask([Polygon(np.zeros((2, 2), dtype=np.float32))], (4, 4)),
        lambda: polygons_to_mask([Polygon(np.full((3, 2), np.nan, dtype=np.float32))], (4, 4)),
    ],
)
def test_misfits_are_refused(call):
    with pytest.raises(MaskError):
        call()
