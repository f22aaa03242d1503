"""The JSON record of an image and its masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from anymask.formats import DatasetError, to_record
from anymask.formats.records import Records
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


def test_records_are_read_alone_in_folders_and_in_lists(tmp_path: Path) -> None:
    one, other = (to_record(f"{folder}/a.jpg", masks(), model="m") for folder in ("here", "there"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.json").write_text(json.dumps(one))
    (tmp_path / "notes.json").write_text('{"image": "a.jpg"}')
    (both := tmp_path / "both.json").write_text(json.dumps([one, {"masks": []}, other]))
    layout = Records()
    assert [image.name for image in layout.read(tmp_path / "deep/a.json")] == ["a.jpg"]
    assert [image.name for image in layout.read(both)] == ["here/a.jpg", "there/a.jpg"]
    read = list(layout.read(tmp_path))
    assert [image.name for image in read] == ["here/a.jpg", "there/a.jpg", "deep/a.jpg"]
    for image in read:
        np.testing.assert_array_equal(image.masks.decode(), masks().decode())
        np.testing.assert_array_equal(image.masks.scores, masks().scores)
    assert layout.recognises(both)
    assert not layout.recognises(tmp_path / "notes.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": [{"bbox": [1, 2, 3, 4]}]}, r"a\.json: annotation 0 has no segmentation"),
        ({"width": "wide"}, r"a\.json is not a record of anymask: ValueError"),
        ({"masks": 3}, r"a\.json is not a record of anymask"),
        ({"height": 21}, r"a\.json: annotation 1: "),
        ({"image": ""}, r"a\.json: '' is not the name of a picture"),
    ],
)
def test_broken_records(tmp_path: Path, change: dict[str, object], message: str) -> None:
    content = {**to_record("a.jpg", masks(), model="m"), **change}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        list(Records().read(tmp_path))
    (tmp_path / "a.json").unlink()
    with pytest.raises(DatasetError, match="holds no record of anymask"):
        list(Records().read(tmp_path))
