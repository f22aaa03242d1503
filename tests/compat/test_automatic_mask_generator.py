"""The drop-in's generator against the plain algorithm, record by record."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from skimage import data

import anymask
from anymask.compat.segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from anymask.compat.segment_anything.utils.amg import MaskData, mask_to_rle_pytorch, rle_to_mask
from anymask.segment.everything_settings import EverythingSettingsError
from segment.everything_by_hand import everything_by_hand

SETTINGS = {"points_per_side": 5, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.1, "min_mask_region_area": 30}


@pytest.fixture(scope="module")
def sam():
    return sam_model_registry["pocket"]()


@pytest.fixture(scope="module")
def picture():
    return np.array(Image.fromarray(data.coffee()).resize((203, 150)))


@pytest.fixture(scope="module")
def records(sam, picture):
    return SamAutomaticMaskGenerator(sam, **SETTINGS).generate(picture)


def test_records_are_those_of_the_plain_algorithm(sam, picture, records):
    expected = everything_by_hand(sam, picture, **SETTINGS)
    assert len(records) == len(expected) >= 5
    for record, (mask, box, score, stability, point, crop) in zip(records, expected, strict=True):
        found = record["segmentation"]
        assert found.dtype == np.bool_
        assert (found & mask).sum() / (found | mask).sum() >= 0.99
        assert record["area"] == found.sum()
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        assert record["bbox"] == [columns[0], rows[0], columns[-1] - columns[0], rows[-1] - rows[0]]
        np.testing.assert_allclose(record["bbox"], [box[0], box[1], box[2] - box[0], box[3] - box[1]], atol=1)
        assert record["predicted_iou"] == pytest.approx(score, abs=1e-4)
        assert record["stability_score"] == pytest.approx(stability, abs=2e-3)
        assert record["point_coords"] == [pytest.approx(point)]
        assert record["crop_box"] == [crop[0], crop[1], crop[2] - crop[0], crop[3] - crop[1]]


@pytest.mark.parametrize("mode", ["uncompressed_rle", "coco_rle"])
def test_other_outputs_hold_the_same_masks_and_go_into_json(sam, picture, records, mode):
    others = SamAutomaticMaskGenerator(sam, **SETTINGS, output_mode=mode).generate(picture)
    again = json.loads(json.dumps(others))
    for record, other in zip(records, again, strict=True):
        rle = other["segmentation"]
        mask = rle_to_mask(rle) if mode == "uncompressed_rle" else coco.decode(rle).astype(bool)
        np.testing.assert_array_equal(mask, record["segmentation"])
        assert {**record, "segmentation": None} == {**other, "segmentation": None}


def test_attributes_changed_after_construction_count(sam, picture):
    generator = SamAutomaticMaskGenerator(sam, points_per_side=None, point_grids=[np.array([[0.5, 0.5]])])
    assert generator.generate(picture) == []
    generator.pred_iou_thresh = generator.stability_score_thresh = 0.0
    found = generator.generate(picture)
    assert 1 <= len(found) <= 3
    assert found[0]["point_coords"] == [[101.5, 75.0]]
    assert not generator.predictor.is_image_set


def test_the_first_picture_without_masks_is_explained(sam, picture, caplog):
    generator = SamAutomaticMaskGenerator(sam, points_per_side=2)
    assert generator.generate(picture) == []
    (line,) = caplog.messages
    best = generator.tally.best_score
    assert line.startswith(f"no masks: the best predicted IoU is {best:.3f}, and pred_iou_thresh is 0.88 (")
    assert generator.tally.points == 4
    assert generator.tally.good == 0
    assert generator.generate(picture) == []
    assert len(caplog.messages) == 1
    generator.pred_iou_thresh = generator.stability_score_thresh = 0.0
    assert len(generator.generate(picture)) == generator.tally.distinct > 0
    assert len(caplog.messages) == 1


def test_what_load_returns_is_taken(picture, records):
    generator = SamAutomaticMaskGenerator(anymask.load("pocket", device="cpu"), **SETTINGS)
    found = generator.generate(picture)
    assert [one["area"] for one in found] == [one["area"] for one in records]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"points_per_side": None}, AssertionError, "exactly one of points_per_side and point_grids"),
        ({"point_grids": [np.zeros((1, 2))]}, AssertionError, "exactly one of points_per_side and point_grids"),
        ({"output_mode": "png"}, AssertionError, "output_mode is one of binary_mask, uncompressed_rle, coco_rle"),
        ({"points_per_side": 0}, ValueError, "points_per_side is a whole number from 1"),
        ({"points_per_batch": 0}, EverythingSettingsError, "points_per_batch is a whole number from 1"),
        ({"box_nms_thresh": 7}, ValueError, "box_nms_thresh is a number from 0 to 1"),
    ],
)
def test_arguments_are_checked(sam, options, error, message):
    with pytest.raises(error, match=message):
        SamAutomaticMaskGenerator(sam, **options)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), "a"])
def test_images_are_checked(sam, image):
    with pytest.raises(ValueError, match="must be a uint8 array"):
        SamAutomaticMaskGenerator(sam).generate(image)


def test_small_regions_of_mask_data():
    whole = torch.zeros(3, 40, 40, dtype=torch.bool)
    whole[0, 5:20, 5:20] = True
    whole[0, 10, 10] = False
    whole[1, 5:20, 5:20] = True
    whole[2, 25:35, 25:35] = True
    whole[2, 1, 1] = True
    data_before = MaskData(
        rles=mask_to_rle_pytorch(whole),
        boxes=torch.zeros(3, 4, dtype=torch.int64),
        iou_preds=torch.tensor([0.9, 0.8, 0.7]),
    )
    after = SamAutomaticMaskGenerator.postprocess_small_regions(data_before, 5, 0.7)
    # The unchanged second mask wins over the first, which became the same by filling its hole.
    assert after["iou_preds"].tolist() == pytest.approx([0.8, 0.7])
    assert after["boxes"].tolist() == [[0, 0, 0, 0], [25, 25, 34, 34]]
    assert rle_to_mask(after["rles"][1]).sum() == 100
    empty = MaskData(rles=[], boxes=torch.zeros(0, 4))
    assert SamAutomaticMaskGenerator.postprocess_small_regions(empty, 5, 0.7)["rles"] == []
