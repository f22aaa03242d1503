"""Which kind of data set lies at a path, and what is said where it is none."""

import json
import shutil
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from small_set import reduced, small_set

from anymask import formats
from anymask.formats import FORMATS, Feature, FormatWarning
from anymask.formats.datasets import (
    CocoDataset,
    DatasetError,
    LabelMeDataset,
    MaskFolderDataset,
    Sa1bDataset,
    SubsetDataset,
    is_validation_name,
    open_dataset,
    recognise,
)
from anymask.segment.pixels import read_image

SQUARE = [[2, 2, 20, 2, 20, 18, 2, 18]]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((30, 40, 3), 90, np.uint8))


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((30, 40), np.uint8)
    values[3:12, 5:20] = 1
    assert cv2.imwrite(str(path), values)


def coco(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 30, "width": 40}],
        "annotations": [{"id": 1, "image_id": 1, "segmentation": SQUARE}],
    }
    path.write_text(json.dumps(content))


def sa1b(folder: Path) -> None:
    picture(folder / "sa_1.jpg")
    content = {"image": {"height": 30, "width": 40}, "annotations": [{"segmentation": SQUARE}]}
    (folder / "sa_1.json").write_text(json.dumps(content))


def labelme(folder: Path) -> None:
    picture(folder / "a.png")
    shape = {"label": "cup", "points": [[2, 2], [20, 18]], "shape_type": "rectangle"}
    content = {"imagePath": "a.png", "imageHeight": 30, "imageWidth": 40, "shapes": [shape]}
    (folder / "a.json").write_text(json.dumps(content))


LAYOUTS = {
    "annotations": (lambda folder: (coco(folder / "annotations.json"), picture(folder / "images/a.png")), CocoDataset),
    "instances": (lambda folder: (coco(folder / "instances_x.json"), picture(folder / "a.png")), CocoDataset),
    "coco's own": (
        lambda folder: (coco(folder / "annotations/instances_val2017.json"), picture(folder / "val2017/a.png")),
        CocoDataset,
    ),
    "roboflow": (lambda folder: (coco(folder / "_annotations.coco.json"), picture(folder / "a.png")), CocoDataset),
    "sa1b": (sa1b, Sa1bDataset),
    "labelme": (labelme, LabelMeDataset),
    "masks": (lambda folder: (picture(folder / "images/a.jpg"), mask(folder / "masks/a.png")), MaskFolderDataset),
    "labels": (lambda folder: (picture(folder / "images/a.jpg"), mask(folder / "labels/a.png")), MaskFolderDataset),
    "nuclei": (lambda folder: (picture(folder / "a/images/a.png"), mask(folder / "a/masks/1.png")), MaskFolderDataset),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_recognised_and_read(tmp_path: Path, layout: str) -> None:
    write, expected = LAYOUTS[layout]
    write(tmp_path)
    dataset = open_dataset(tmp_path)
    assert type(dataset) is expected
    assert len(dataset) == 1
    assert dataset.image(0).shape == (30, 40, 3)
    assert [one["size"] for one in dataset.masks(0)] == [[30, 40]]
    assert len(dataset.categories(0)) == 1
    again = open_dataset(tmp_path, recognise(tmp_path))
    assert again.masks(0) == dataset.masks(0)


def test_a_file_finds_its_images_in_coco_s_own_layout(tmp_path: Path) -> None:
    LAYOUTS["coco's own"][0](tmp_path)
    assert open_dataset(tmp_path / "annotations" / "instances_val2017.json").image(0).shape == (30, 40, 3)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "val2017", elsewhere)
    with pytest.raises(DatasetError, match="cannot read the image"):
        open_dataset(tmp_path).image(0)
    assert open_dataset(tmp_path, images=elsewhere).image(0).shape == (30, 40, 3)


def test_several_coco_files_are_a_question(tmp_path: Path) -> None:
    coco(tmp_path / "annotations/instances_train2017.json")
    coco(tmp_path / "annotations/instances_val2017.json")
    with pytest.raises(DatasetError, match=r"several COCO files: .*instances_train2017\.json, .*give the one you mean"):
        open_dataset(tmp_path)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is nothing at .*nowhere"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is in no format that anymask recognises: name one of"):
        open_dataset(tmp_path)
    picture(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png is in no format"):
        open_dataset(tmp_path / "a.png")
    (tmp_path / "something.json").write_text("[1, 2]")
    with pytest.raises(DatasetError, match="is in no format that anymask recognises"):
        open_dataset(tmp_path)
    coco(tmp_path / "my-own.json")
    with pytest.raises(DatasetError, match=r"my-own\.json seems to be in the format coco: give it instead of its"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="unknown kind of data set 'imagenet': use auto, masks"):
        open_dataset(tmp_path, "imagenet")
    with pytest.raises(DatasetError, match=r"there is no folder .*nowhere with pictures"):
        open_dataset(tmp_path / "my-own.json", images=tmp_path / "nowhere")
    mask(tmp_path / "two/masks/a.png")
    with pytest.raises(DatasetError, match=r"holds masks, but there is no folder .*images"):
        open_dataset(tmp_path / "two")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_a_data_set(tmp_path: Path, name: str) -> None:
    """Masks, labels and pixels are those that were written; only images and masks without a pixel may be missing."""
    layout = FORMATS[name]
    images = reduced(small_set(tmp_path / "pictures", name == "geojson-map"), layout.carries)
    target = tmp_path / "set" if layout.is_folder else tmp_path / f"set{layout.file_suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        formats.write(target, images, name, with_pictures=True)
    dataset = open_dataset(target)
    assert type(dataset) is type(open_dataset(target, name))
    found = {dataset.name(index): index for index in range(len(dataset))}
    for image in images:
        index = found.pop(image.name, None)
        if index is None:
            # Some layouts are known by the last part of a name alone.
            index = found.pop(Path(image.name).name, None)
        expected = image.masks[np.flatnonzero(image.masks.areas)]
        if index is None:
            assert not len(expected), image.name
            continue
        assert image.picture is not None
        np.testing.assert_array_equal(dataset.image(index), read_image(image.picture))
        labels = {
            one["counts"]: label for one, label in zip(dataset.masks(index), dataset.categories(index), strict=True)
        }
        wanted = expected.labels if Feature.LABELS in layout.carries and expected.labels else [None] * len(expected)
        with_pixels = {one["counts"] for one in dataset.masks(index) if coco_mask.area(one)}
        assert with_pixels == {one["counts"] for one in expected.rles}
        assert [labels[one["counts"]] for one in expected.rles] == [label or "" for label in wanted]
    assert not found


def test_a_data_set_whose_pictures_are_elsewhere(tmp_path: Path) -> None:
    images = small_set(tmp_path / "pictures")[:1]
    target = formats.write(tmp_path / "set.parquet", images)
    dataset = open_dataset(target)
    with pytest.raises(DatasetError, match=r"the picture of street/a\.jpg in .* was not found; give the folder"):
        dataset.image(0)
    assert images[0].picture is not None
    expected = read_image(images[0].picture)
    np.testing.assert_array_equal(open_dataset(target, images=tmp_path / "pictures").image(0), expected)
    formats.write(tmp_path / "sa1b", images, "sa1b")
    dataset = open_dataset(tmp_path / "sa1b", images=tmp_path / "pictures")
    np.testing.assert_array_equal(dataset.image(0), expected)
    assert cv2.imwrite(str(tmp_path / "pictures/street/a.jpg"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DatasetError, match="is 9 x 9, but its annotations are for 43 x 31"):
        open_dataset(target, images=tmp_path / "pictures").image(0)


def test_splits_are_those_of_the_kind(tmp_path: Path) -> None:
    for number in range(40):
        picture(tmp_path / f"images/{number}.png")
        mask(tmp_path / f"masks/{number}.png")
    parts = {split: open_dataset(tmp_path, split=split) for split in ("all", "train", "validation")}
    names = {split: [part.name(index) for index in range(len(part))] for split, part in parts.items()}
    assert sorted(names["train"] + names["validation"]) == sorted(names["all"])
    assert names["validation"]
    assert all(is_validation_name(name) for name in names["validation"])


def test_a_subset_is_in_its_own_order(tiny_coco: Path) -> None:
    whole = CocoDataset(tiny_coco)
    some = SubsetDataset(whole, [4, 1])
    assert len(some) == 2
    for place, index in enumerate((4, 1)):
        assert some.name(place) == whole.name(index)
        np.testing.assert_array_equal(some.image(place), whole.image(index))
        assert some.masks(place) == whole.masks(index)
        assert some.categories(place) == whole.categories(index)
