"""COCO files: what is read agrees with pycocotools, and what is wrong is an error that names the file."""

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from anymask.formats.coco_dataset import CocoDataset
from anymask.formats.instances import DatasetError, is_validation_name
from anymask.train.synthetic import synthetic_scene

HEIGHT, WIDTH = 30, 40
POLYGONS = [[2, 3, 20.5, 3, 20.5, 15, 2, 15], [25, 20, 35, 20, 30, 28]]


def blob() -> NDArray[np.uint8]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (15, 12), 8, 1, -1)
    mask[20:24, 30:39] = 1
    return np.asfortranarray(mask)


def run_lengths(mask: NDArray[np.uint8]) -> list[int]:
    counts, value, run = [], 0, 0
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return [*counts, run]


def segmentations() -> dict[str, Any]:
    compressed = coco_mask.encode(blob())
    return {
        "polygons": POLYGONS,
        "uncompressed": {"size": [HEIGHT, WIDTH], "counts": run_lengths(blob())},
        "compressed": {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()},
    }


def content(segmentation: Any, **extra: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": 1, "image_id": 7, "segmentation": segmentation, "category_id": 3, **extra}],
        "categories": [{"id": 3, "name": "cup"}],
    }


def write(folder: Path, what: Any) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps(what))
    return path


@pytest.mark.parametrize("kind", ["polygons", "uncompressed", "compressed"])
def test_segmentations_agree_with_pycocotools(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, content(segmentations()[kind]))
    (rle,) = CocoDataset(path).masks(0)
    reference = COCO(path)
    expected = reference.annToMask(reference.anns[1])
    assert expected.any()
    np.testing.assert_array_equal(coco_mask.decode(rle), expected)
    if kind != "polygons":
        np.testing.assert_array_equal(expected, blob())


def test_a_folder_is_its_annotations_and_images(tiny_coco: Path) -> None:
    dataset = CocoDataset(tiny_coco)
    assert len(dataset) == 6
    for index in range(6):
        scene = synthetic_scene(100 + index, 80, 96)
        assert dataset.name(index) == f"scene-{index}.png"
        np.testing.assert_array_equal(dataset.image(index), scene.image)
        found = [coco_mask.decode(rle).astype(bool) for rle in dataset.masks(index)]
        np.testing.assert_array_equal(found, scene.masks(40))
        assert len(dataset.categories(index)) == len(found)
    assert {name for index in range(6) for name in dataset.categories(index)} == {"thing", "stuff"}


def test_the_split_is_by_the_name_and_complete() -> None:
    names = [f"{number}.jpg" for number in range(2000)]
    held_out = [name for name in names if is_validation_name(name)]
    assert held_out == [name for name in names if zlib.crc32(name.encode()) % 10 == 0]
    assert 150 < len(held_out) < 250


def test_splits_of_a_coco_file(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(60)]
    images = [{"id": n, "file_name": name, "height": 30, "width": 40} for n, name in enumerate(names)]
    annotations = [{"id": n, "image_id": n, "segmentation": POLYGONS} for n in range(60)]
    path = write(tmp_path, {"images": images, "annotations": annotations})

    def found(split: str) -> list[str]:
        dataset = CocoDataset(path, split=split)
        return [dataset.name(index) for index in range(len(dataset))]

    assert found("all") == names
    assert found("validation") == [name for name in names if is_validation_name(name)]
    assert found("train") == [name for name in names if not is_validation_name(name)]
    assert found("validation")
    with pytest.raises(DatasetError, match="unknown split 'test'"):
        found("test")


def test_crowds_and_images_without_masks_are_left_out(tmp_path: Path) -> None:
    what = content(POLYGONS)
    what["images"].append({"id": 8, "file_name": "empty.png", "height": 5, "width": 5})
    what["images"].append({"id": 9, "file_name": "crowd.png", "height": 30, "width": 40})
    what["annotations"].append({"id": 2, "image_id": 7, "segmentation": POLYGONS, "iscrowd": 1})
    what["annotations"].append({"id": 3, "image_id": 9, "segmentation": POLYGONS, "iscrowd": 1})
    dataset = CocoDataset(write(tmp_path, what))
    assert [dataset.name(index) for index in range(len(dataset))] == ["a.png"]
    assert len(dataset.masks(0)) == 1
    assert dataset.categories(0) == ["cup"]


def test_categories_that_are_not_listed_have_no_name(tmp_path: Path) -> None:
    assert CocoDataset(write(tmp_path, content(POLYGONS, category_id=99))).categories(0) == [""]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ([], "needs the keys images and annotations"),
        ({"images": []}, "needs the keys images and annotations"),
        (content("square"), "a segmentation is a list of polygons or a dict"),
        (content(None), "a segmentation is a list of polygons or a dict"),
        (content([]), "no polygon of at least three corners"),
        (content([[1, 2, 3, 4]]), "no polygon of at least three corners"),
        (
            content({"size": [30, 41], "counts": [1230]}),
            r"the RLE has the size \[30, 41\] \(height, width\), the image \[30, 40\]",
        ),
        (content({"size": [30, 40], "counts": [7]}), "these add up to 7"),
        (content({"size": [30, 40], "counts": "PPPPP_"}), "not COCO's compressed run lengths"),
        (content([[0, 0, 1e9, 0, 5, 5]]), "must be finite and within"),
        (content({"counts": [1200]}), "dict with 'size' and 'counts'"),
        ({"images": [{"id": 1}], "annotations": []}, "not a COCO instances file"),
        ({"images": [3], "annotations": []}, "not a COCO instances file"),
        ({"images": [], "annotations": [{}]}, "not a COCO instances file: KeyError"),
    ],
)
def test_wrong_layouts(tmp_path: Path, what: Any, message: str) -> None:
    path = write(tmp_path, what)
    with pytest.raises(DatasetError, match=message) as caught:
        CocoDataset(path)
    assert str(path) in str(caught.value)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read .*annotations\.json: No such file"):
        CocoDataset(tmp_path)
    (tmp_path / "annotations.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match="is not valid JSON"):
        CocoDataset(tmp_path)
    dataset = CocoDataset(write(tmp_path, content(POLYGONS)))
    with pytest.raises(DatasetError, match=r"cannot read the image .*a\.png"):
        dataset.image(0)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(DatasetError, match=r"cannot read the image .*a\.png"):
        dataset.image(0)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((WIDTH, HEIGHT, 3), np.uint8))
    with pytest.raises(DatasetError, match="is 30 x 40, but its annotations are for 40 x 30"):
        dataset.image(0)


def test_the_cache_keeps_no_more_than_it_may(tiny_coco: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_coco, folder)
    dataset = CocoDataset(folder, cache_bytes=2 * 80 * 96 * 3)
    first = dataset.image(0)
    dataset.image(1)
    dataset.image(2)
    shutil.rmtree(folder / "images")
    np.testing.assert_array_equal(dataset.image(0), first)
    dataset.image(1)
    with pytest.raises(DatasetError):
        dataset.image(2)
