import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anymask.segment import rle
from anymask.segment.regions import clean_mask, drop_small_islands, fill_small_holes
from segment.everything_by_hand import clean_by_hand

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14))
areas = st.integers(0, 12)


@settings(max_examples=200, deadline=None)
@given(masks, areas)
def test_holes_and_islands_are_those_found_by_hand(mask, least):
    before = mask.copy()
    np.testing.assert_array_equal(fill_small_holes(mask, least), clean_by_hand(mask, least, True)[0])
    np.testing.assert_array_equal(drop_small_islands(mask, least), clean_by_hand(mask, least, False)[0])
    np.testing.assert_array_equal(mask, before)


@settings(max_examples=200, deadline=None)
@given(masks, areas, st.booleans())
def test_a_second_time_changes_nothing(mask, least, keep):
    filled = fill_small_holes(mask, least)
    np.testing.assert_array_equal(fill_small_holes(filled, least), filled)
    dropped = drop_small_islands(mask, least, keep_largest=keep)
    np.testing.assert_array_equal(drop_small_islands(dropped, least, keep_largest=keep), dropped)


@settings(max_examples=200, deadline=None)
@given(masks, st.integers(0, 6), st.integers(0, 30), st.integers(0, 30))
@example(np.eye(2, 3, dtype=bool)[::-1] * [True, False, True], 3, 0, 0)
def test_a_compressed_mask_is_cleaned_as_the_whole_picture(mask, least, right, bottom):
    whole = np.pad(mask, ((2, bottom), (3, right)))
    cleaned, changed = clean_mask(rle.encode_mask(whole), least)
    filled, holes = clean_by_hand(whole, least, True)
    expected, islands = clean_by_hand(filled, least, False)
    if whole.any():
        np.testing.assert_array_equal(rle.decode(cleaned), expected)
        assert changed == (holes or islands)
    else:
        assert not changed


def test_a_mask_of_crumbs_keeps_its_largest_or_nothing():
    mask = np.zeros((9, 9), dtype=bool)
    mask[0, 0:2] = mask[5, 5] = True
    assert drop_small_islands(mask, 5).sum() == 2
    assert drop_small_islands(mask, 5, keep_largest=False).sum() == 0
    assert rle.area([clean_mask(rle.encode_mask(mask), 5, keep_largest=False)[0]]).tolist() == [0]


@pytest.mark.parametrize("shift", [0, 1])
def test_diagonal_neighbours_hold_together(shift):
    mask = np.eye(5, 7, k=shift, dtype=bool)
    assert drop_small_islands(mask, 4) is mask
    assert drop_small_islands(mask[:3, :4], 4).any()
