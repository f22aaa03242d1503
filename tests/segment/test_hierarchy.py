import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks


def boxes(*corners):
    masks = np.zeros((len(corners), 20, 20), dtype=bool)
    for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = True
    return Masks.from_arrays(masks)


def test_parents_are_the_smallest_around():
    masks = boxes((2, 2, 5, 5), (0, 0, 20, 20), (1, 1, 10, 10), (12, 12, 18, 18), (8, 8, 13, 13), (0, 0, 0, 0))
    assert masks.parents().tolist() == [2, -1, 1, 1, 1, -1]


def test_nearly_inside_is_inside():
    masks = boxes((0, 0, 10, 10), (1, 5, 11, 6))
    assert masks.parents().tolist() == [-1, 0]
    assert masks.parents(inside=1.0).tolist() == [-1, -1]


def test_of_equal_masks_the_first_is_the_parent():
    assert boxes((1, 1, 4, 4), (1, 1, 4, 4), (1, 1, 4, 4)).parents().tolist() == [-1, 0, 1]


def test_no_masks_and_no_fraction():
    assert Masks.empty((3, 3)).parents().tolist() == []
    for inside in (0.5, 1.1, float("nan")):
        with pytest.raises(MaskError, match=r"above 0\.5 and up to 1"):
            boxes((0, 0, 2, 2)).parents(inside)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))))
def test_a_parent_is_not_smaller_and_ancestors_end(arrays):
    masks = Masks.from_arrays(arrays)
    parents = masks.parents()
    for index, parent in enumerate(parents):
        steps = 0
        while parent >= 0:
            assert masks.areas[parent] >= masks.areas[index]
            parent, steps = parents[parent], steps + 1
            assert steps <= len(masks)
        others = [j for j in range(len(masks)) if j != index and masks.areas[j] > masks.areas[index] > 0]
        around = [j for j in others if (arrays[j] & arrays[index]).sum() >= 0.9 * arrays[index].sum()]
        assert not around or parents[index] >= 0
