import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from anymask.segment import rle
from anymask.segment.errors import MaskError

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def reference(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


@settings(max_examples=300)
@given(masks)
def test_encoding_equals_pycocotools_and_decoding_undoes_it(mask):
    encoded = rle.encode_mask(mask)
    assert encoded == reference(mask)
    np.testing.assert_array_equal(rle.decode(encoded), mask)
    assert rle.encode_counts(rle.decode_counts(encoded), mask.shape) == encoded
    assert rle.check(encoded) == encoded


@settings(max_examples=100)
@given(masks, st.data())
def test_a_decoded_crop_is_the_crop_of_the_decoded(mask, data):
    height, width = mask.shape
    x0, y0 = data.draw(st.integers(0, width)), data.draw(st.integers(0, height))
    x1, y1 = data.draw(st.integers(x0, width)), data.draw(st.integers(y0, height))
    crop = rle.decode_crop(rle.encode_mask(mask), (x0, y0, x1, y1))
    np.testing.assert_array_equal(crop, mask[y0:y1, x0:x1])


@settings(max_examples=100)
@given(masks, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_an_encoded_crop_is_the_crop_on_background(mask, left, top, right, bottom):
    whole = np.pad(mask, ((top, bottom), (left, right)))
    assert rle.encode_crop(mask, (left, top), whole.shape) == reference(whole)


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (3, 0), (0, 4)])
def test_a_crop_that_leaves_the_image(corner):
    with pytest.raises(MaskError, match=r"a crop of 3 x 2 pixels at .* does not lie in an image of 5 x 5 pixels"):
        rle.encode_crop(np.ones((2, 3), bool), corner, (5, 5))


@settings(max_examples=100)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7))))
def test_containment(arrays):
    encoded = rle.encode_masks(arrays)
    overlap = (arrays[:, None] & arrays[None]).sum((2, 3))
    areas = arrays.sum((1, 2))[:, None]
    np.testing.assert_allclose(rle.containment_matrix(encoded, encoded[:3]), (overlap / np.maximum(areas, 1))[:, :3])


@settings(max_examples=100)
@given(masks)
def test_area_and_box(mask):
    encoded = [rle.encode_mask(mask)]
    assert rle.area(encoded).tolist() == [mask.sum()]
    rows, columns = np.nonzero(mask)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if mask.any() else [0, 0, 0, 0]
    assert rle.box(encoded).tolist() == [expected]


@settings(max_examples=100)
@given(hnp.arrays(bool, st.tuples(st.integers(2, 5), st.integers(1, 7), st.integers(1, 7))))
def test_iou_and_merge(arrays):
    encoded = rle.encode_masks(arrays)
    overlap = (arrays[:, None] & arrays[None]).sum((2, 3))
    union = (arrays[:, None] | arrays[None]).sum((2, 3))
    np.testing.assert_allclose(rle.iou_matrix(encoded, encoded), overlap / np.maximum(union, 1))
    np.testing.assert_array_equal(rle.decode(rle.merge(encoded)), arrays.any(0))
    np.testing.assert_array_equal(rle.decode(rle.merge(encoded, intersect=True)), arrays.all(0))


def test_known_counts_run_down_the_columns_and_start_with_background():
    mask = np.array([[1, 0, 0], [1, 1, 0]], dtype=bool)
    assert rle.decode_counts(rle.encode_mask(mask)).tolist() == [0, 2, 1, 1, 2]


def test_a_strip_thirty_thousand_wide():
    mask = np.zeros((3, 30_000), dtype=bool)
    mask[1, 100:29_900] = True
    encoded = rle.encode_mask(mask)
    assert encoded == reference(mask)
    assert rle.box([encoded]).tolist() == [[100, 1, 29_900, 2]]
    np.testing.assert_array_equal(rle.decode(encoded), mask)


def test_non_contiguous_and_non_boolean_masks_encode():
    base = np.arange(40).reshape(5, 8)
    view = base[::2, ::-1] % 3
    assert rle.encode_mask(view) == reference(view != 0)
    assert rle.encode_mask(np.array([[0.0, 0.2], [-1.0, 0.0]])) == reference(np.array([[0, 1], [1, 0]]))


def test_no_masks():
    assert rle.area([]).shape == (0,)
    assert rle.box([]).shape == (0, 4)
    assert rle.iou_matrix([], [rle.encode_mask(np.ones((2, 2), dtype=bool))]).shape == (0, 1)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_coco_segmentations_agree_with_pycocotools():
    polygons = [[1.0, 1.0, 8.0, 1.5, 6.0, 7.0], [4, 4, 9, 4, 9, 9, 4, 9]]
    expected = coco.decode(coco.merge(coco.frPyObjects(polygons, 10, 12)))
    np.testing.assert_array_equal(rle.decode(rle.from_coco(polygons, (10, 12))), expected)
    mask = np.random.default_rng(1).random((10, 12)) > 0.6
    encoded = rle.encode_mask(mask)
    as_text = json.loads(json.dumps({"size": [10, 12], "counts": encoded["counts"].decode()}))
    as_list = {"size": [10, 12], "counts": rle.decode_counts(encoded).tolist()}
    assert rle.from_coco(as_text, (10, 12)) == encoded
    assert rle.from_coco(as_list, (10, 12)) == encoded
    assert rle.area([rle.from_coco([], (10, 12))]).tolist() == [0]


def test_empty_runs_are_joined():
    assert rle.encode_counts([0, 0, 3, 2, 0, 1], (2, 3)) == rle.encode_counts([3, 3], (2, 3))
    assert rle.encode_counts([0, 0, 0, 6], (2, 3)) == rle.encode_counts([0, 6], (2, 3))


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2, 3], "counts": [1, 2]},
        {"size": [2, 3], "counts": [4, -1, 3]},
        {"size": [2, 3], "counts": []},
        {"size": [3, 2], "counts": [6]},
        {"size": [2, 3], "counts": "é"},
        {"size": [2, 3], "counts": "~~"},
        {"size": [2, 3], "counts": ""},
        {"size": [2, 3], "counts": b"PPPPPPPPPPPPPPPPPPP0"},
        {"size": [2, 3], "counts": b"oooo0"},
        {"size": [2, 3], "counts": ["a"]},
        {"size": [2, 3], "counts": [1.5, 4.5]},
        {"size": [2, 3], "counts": [[1], [2, 3]]},
        {"size": [2, 3], "counts": [10**30]},
        {"size": [2, 3], "counts": None},
        {"size": None, "counts": [6]},
        {"counts": [6]},
        [["a"] * 6],
        [[0, 0, 1, 1]],
        [[0, 0, 1, 1, 2]],
        [[0, 0, 1, 1, float("nan"), 0]],
        [[0, 0, 1e30, 1, 2, 5]],
        "text",
        None,
    ],
)
def test_unsound_segmentations_are_refused(segmentation):
    with pytest.raises(MaskError):
        rle.from_coco(segmentation, (2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: rle.encode_mask(np.zeros((2, 3, 4), dtype=bool)),
        lambda: rle.encode_mask(np.zeros((0, 4), dtype=bool)),
        lambda: rle.encode_masks(np.zeros((3, 4), dtype=bool)),
        lambda: rle.encode_counts([0], (0, 4)),
        lambda: rle.encode_counts([1 << 34], (1 << 17, 1 << 17)),
        lambda: rle.merge([]),
        lambda: rle.merge([rle.encode_counts([4], (2, 2)), rle.encode_counts([6], (2, 3))]),
        lambda: rle.iou_matrix([rle.encode_counts([4], (2, 2))], [rle.encode_counts([6], (2, 3))]),
        lambda: rle.decode_crop(rle.encode_counts([4], (2, 2)), (0, 0, 3, 2)),
    ],
)
def test_misfits_are_refused(call):
    with pytest.raises(MaskError):
        call()


def test_more_masks_than_eight_bits_can_count():
    encoded = [rle.encode_counts([number, 700 - number], (7, 100)) for number in range(600)]
    assert rle.area(encoded).tolist() == [700 - number for number in range(600)]
    assert rle.box(encoded).shape == (600, 4)
    assert rle.iou_matrix(encoded, encoded[:300]).diagonal().tolist() == [1.0] * 300
    assert rle.merge(encoded)["size"] == [7, 100]
    triangles = [[0, 0, 5, 0, 5, 5]] * 600
    assert rle.area([rle.from_coco(triangles, (7, 100))])[0] == rle.area([rle.from_coco(triangles[:1], (7, 100))])[0]
