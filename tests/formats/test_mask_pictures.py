"""What a picture of masks holds."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from noisy_masks import label_maps
from numpy.typing import NDArray

from anymask.formats.mask_pictures import label_rles, object_rles
from anymask.segment import rle


@settings(max_examples=100, deadline=None)
@given(label_maps())
def test_labels_put_together_are_the_picture(values: NDArray[np.int64]) -> None:
    found = np.zeros_like(values)
    for value, one in label_rles(values).items():
        assert one == rle.encode_mask(values == value)
        found[rle.decode(one)] = value
    np.testing.assert_array_equal(found, values)
    assert object_rles(values, "labels") == list(label_rles(values).values())
    parts = [rle.decode(one) for one in object_rles(values, "components")]
    covered = np.sum(parts, axis=0) if parts else np.zeros_like(values)
    np.testing.assert_array_equal(covered, values != 0)
    assert all(cv2.connectedComponents(part.astype(np.uint8), connectivity=8)[0] == 2 for part in parts)


@pytest.mark.parametrize(
    ("value", "dtype", "count"),
    [
        (1, np.uint16, 1),
        (300, np.uint16, 1),
        (255, np.uint16, 2),
        (65535, np.uint16, 2),
        (1, np.uint8, 2),
        (7, np.int32, 1),
    ],
)
def test_one_value_of_sixteen_bits_is_a_label(value: int, dtype: type, count: int) -> None:
    values = np.zeros((5, 5), dtype)
    values[0, 0] = values[4, 4] = value
    assert len(object_rles(values, "auto")) == count
