"""What no client may store."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from anymask.engine.annotation import Click, Prompts
from anymask.engine.change_checks import NotStorable, canonical_counts, storable

from .changing import SIZE, change, counts_of, new_object


def click(x: float, y: float) -> Prompts:
    return Prompts(clicks=[Click(x=1, y=1, positive=True), Click(x=x, y=y, positive=False)])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"counts": counts_of((0, 0, 2, 2), (8, 13))}, "does not fit a picture of 12 x 8 pixels: run lengths must"),
        ({"counts": ""}, "not COCO's compressed run lengths"),
        ({"counts": "mäh"}, "not COCO's compressed run lengths"),
        ({"counts": "!!!"}, "not COCO's compressed run lengths"),
        ({"counts": counts_of((0, 0, 0, 0))}, "has no pixel"),
        ({"label": "\ufb2c" * 100}, "label has 300 characters"),
        ({"order": math.inf}, "order must be a finite number"),
        ({"order": math.nan}, "order must be a finite number"),
        ({"score": math.nan}, "score must be a finite number"),
        ({"model": "a\0b"}, r"model 'a\\x00b'"),
        ({"prompts": click(13.5, 4)}, r"click 2 at \(13.5, 4\) lies outside the picture of 12 x 8 pixels"),
        ({"prompts": click(4, -1.1)}, "click 2 at"),
        ({"prompts": click(math.nan, 4)}, "click 2 at"),
        ({"prompts": Prompts(box=(0, 0, 14, 4))}, "does not lie in the picture of 12 x 8 pixels"),
        ({"prompts": Prompts(box=(0, 0, math.inf, 4))}, "does not lie in the picture"),
        ({"prompts": Prompts(box=(5, 0, 4, 4))}, "from its top left to its bottom right"),
        ({"prompts": Prompts(base=counts_of((0, 0, 1, 1), (8, 8)))}, "does not fit a picture of 12 x 8"),
    ],
)
def test_a_state_that_cannot_be_kept(wrong, reason):
    with pytest.raises(NotStorable, match=reason):
        storable(change(new_object(**wrong)), SIZE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
        {"action": "\x1b[2J"},
    ],
)
def test_a_change_that_cannot_be_kept(wrong):
    with pytest.raises(NotStorable):
        storable(change(new_object(), **wrong), SIZE)


@pytest.mark.parametrize(
    "prompts",
    [None, Prompts(), click(13, 9), click(-1, -1), Prompts(box=(-1, -1, 13, 9)), Prompts(base=counts_of())],
)
def test_a_pixel_beside_the_picture_is_taken(prompts):
    given_change = change(new_object(prompts=prompts))
    assert storable(given_change, SIZE) == given_change


def test_what_is_kept_is_written_in_one_way():
    # Ten and twenty pixels of background with no foreground between them.
    loose = coco_mask.frPyObjects({"size": list(SIZE), "counts": [10, 0, 20, 30, 36]}, *SIZE)["counts"].decode()
    kept = storable(change(new_object(counts=loose, label=" a  car ", prompts=Prompts(base=loose))), SIZE).state
    pixels = np.zeros(96, dtype=np.uint8)
    pixels[30:60] = 1
    expected = coco_mask.encode(np.asfortranarray(pixels.reshape(SIZE, order="F")))["counts"].decode()
    assert loose != expected
    assert (kept.counts, kept.label) == (expected, "a car")
    assert kept.prompts is not None
    assert kept.prompts.base == expected


@given(arrays(np.uint8, SIZE, elements=st.integers(0, 1)))
def test_what_pycocotools_writes_stays_as_it_is(pixels):
    counts = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
    assert canonical_counts(counts, SIZE) == counts
