"""The parts of the published generator, against NumPy and pycocotools."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from anymask.compat.segment_anything.utils import amg

stacks = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))


@settings(deadline=None)
@given(stacks)
def test_run_lengths_there_and_back(masks):
    rles = amg.mask_to_rle_pytorch(torch.from_numpy(masks))
    for mask, rle in zip(masks, rles, strict=True):
        assert rle["size"] == list(mask.shape)
        assert all(count > 0 for count in rle["counts"][1:])
        assert sum(rle["counts"]) == mask.size
        np.testing.assert_array_equal(amg.rle_to_mask(rle), mask)
        assert amg.area_from_rle(rle) == mask.sum()
        np.testing.assert_array_equal(coco.decode(amg.coco_encode_rle(rle)), mask)
        assert isinstance(amg.coco_encode_rle(rle)["counts"], str)


@settings(deadline=None)
@given(stacks)
def test_boxes_go_to_the_last_pixel(masks):
    boxes = amg.batched_mask_to_box(torch.from_numpy(masks))
    assert boxes.shape == (len(masks), 4)
    for mask, box in zip(masks, boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == ([columns.min(), rows.min(), columns.max(), rows.max()] if mask.any() else [0, 0, 0, 0])


def test_boxes_of_no_masks_and_of_one():
    assert amg.batched_mask_to_box(torch.zeros(0, 4, 5)).shape == (0, 4)
    assert amg.batched_mask_to_box(torch.ones(4, 5, dtype=torch.bool)).tolist() == [0, 0, 4, 3]


def test_stability():
    logits = torch.tensor([[[2.0, 0.5], [-0.5, -2.0]], [[-5.0, -5.0], [-5.0, -5.0]]])
    scores = amg.calculate_stability_score(logits, 0.0, 1.0)
    assert scores[0] == pytest.approx(1 / 3)
    assert scores[1].isnan()


def test_mask_data_filters_joins_and_converts():
    columns = {"a": torch.tensor([1, 2, 3]), "b": np.array([4, 5, 6]), "c": ["x", "y", "z"]}
    one = amg.MaskData(**columns)
    one.filter(torch.tensor([True, False, True]))
    assert (one["a"].tolist(), one["b"].tolist(), one["c"]) == ([1, 3], [4, 6], ["x", "z"])
    one.filter(torch.tensor([1, 0]))
    assert (one["a"].tolist(), one["b"].tolist(), one["c"]) == ([3, 1], [6, 4], ["z", "x"])
    joined = amg.MaskData()
    joined.cat(one)
    joined.cat(amg.MaskData(**columns))
    assert joined["c"] == ["z", "x", "x", "y", "z"]
    one["c"].append("later")
    assert joined["c"] == ["z", "x", "x", "y", "z"]
    joined.to_numpy()
    assert joined["a"].tolist() == [3, 1, 1, 2, 3]
    assert all(isinstance(joined[key], np.ndarray) for key in "ab")
    del joined["a"]
    assert [key for key, _ in joined.items()] == ["b", "c"]
    with pytest.raises(AssertionError, match="MaskData takes lists, arrays and tensors"):
        joined["d"] = 3


def test_batches():
    assert list(amg.batch_iterator(2, [1, 2, 3], "abc")) == [[[1, 2], "ab"], [[3], "c"]]
    assert list(amg.batch_iterator(2, [])) == []
    for wrong in ((), ([1], [1, 2])):
        with pytest.raises(AssertionError, match="sequences of one length"):
            list(amg.batch_iterator(2, *wrong))


def test_back_from_a_crop_to_the_image():
    crop = [3, 2, 7, 5]
    assert amg.uncrop_boxes_xyxy(torch.tensor([[0, 1, 2, 3]]), crop).tolist() == [[3, 3, 5, 5]]
    assert amg.uncrop_boxes_xyxy(torch.zeros(2, 1, 4), crop).shape == (2, 1, 4)
    assert amg.uncrop_points(torch.tensor([[0.5, 1.5]]), crop).tolist() == [[3.5, 3.5]]
    masks = torch.ones(1, 3, 4, dtype=torch.bool)
    whole = amg.uncrop_masks(masks, crop, 6, 9)
    assert whole.shape == (1, 6, 9)
    assert whole.sum() == 12
    assert whole[0, 2:5, 3:7].all()
    assert amg.uncrop_masks(masks, [0, 0, 4, 3], 3, 4) is masks


def test_edges_of_crops_and_of_the_image():
    boxes = torch.tensor([[50, 50, 99, 99], [50, 50, 60, 60], [0, 0, 30, 30]])
    near = amg.is_box_near_crop_edge(boxes, [0, 0, 110, 110], [0, 0, 400, 400])
    assert near.tolist() == [True, False, False]


def test_small_regions_and_boxes():
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    filled, changed = amg.remove_small_regions(mask, 3, "holes")
    assert changed
    assert filled.sum() == 25
    same, changed = amg.remove_small_regions(mask, 3, "islands")
    assert same is mask
    assert not changed
    with pytest.raises(AssertionError, match="mode is 'holes' or 'islands'"):
        amg.remove_small_regions(mask, 3, "both")
    box = np.array([1, 2, 5, 9])
    assert amg.box_xyxy_to_xywh(box).tolist() == [1, 2, 4, 7]
    assert box.tolist() == [1, 2, 5, 9]


def test_grids_and_crops_have_the_published_names():
    np.testing.assert_allclose(amg.build_point_grid(2), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    assert [len(grid) for grid in amg.build_all_layer_point_grids(4, 1, 2)] == [16, 4]
    boxes, layers = amg.generate_crop_boxes((100, 200), 1, 0.2)
    assert boxes == [[0, 0, 200, 100], [0, 0, 110, 60], [0, 40, 110, 100], [90, 0, 200, 60], [90, 40, 200, 100]]
    assert layers == [0, 1, 1, 1, 1]
