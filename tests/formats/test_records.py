"""The JSON record of an image and its masks."""

import json

import numpy as np
from pycocotools import mask as coco_mask

from anymask.formats import to_record
from anymask.segment.masks import Masks


def masks() -> Masks:
    arrays = np.zeros((3, 20, 30), bool)
    arrays[0, 2:9, 3:20] = True
    arrays[1, ::2] = True
    return Masks.from_arrays(arrays, scores=[0.9, 0.5, 0.1], prompt=[0, 0, 1])


def test_a_record_passes_through_json_and_pycocotools_reads_it() -> None:
    prompts = [{"points": [(3, 4)]}, {"box": (1, 2, 3, 4)}]
    record = json.loads(json.dumps(to_record("a/b.jpg", masks(), model="pocket", prompts=prompts)))
    assert {key: record[key] for key in ("image", "width", "height", "model")} == {
        "image": "a/b.jpg",
        "width": 30,
        "height": 20,
        "model": "pocket",
    }
    assert record["prompts"] == [{"points": [[3, 4]]}, {"box": [1, 2, 3, 4]}]
    assert [entry["prompt"] for entry in record["masks"]] == [0, 0, 1]
    for entry, array, score in zip(record["masks"], masks().decode(), (0.9, 0.5, 0.1), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(entry["segmentation"]), array)
        assert entry["area"] == array.sum()
        assert entry["bbox"] == coco_mask.toBbox(entry["segmentation"]).tolist()
        assert abs(entry["score"] - score) < 1e-6
        assert entry["image_id"] == "a/b.jpg"


def test_without_prompts_none_are_named() -> None:
    record = to_record("a.jpg", masks().replace(prompt=None), model="m")
    assert record["prompts"] == []
    assert not any("prompt" in entry for entry in record["masks"])
    assert to_record("a.jpg", Masks.empty((2, 3)), model="m")["masks"] == []
