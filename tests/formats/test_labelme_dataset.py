"""LabelMe's files: every shape by an independent rasterisation, groups, and images in all their places."""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.formats.instances import DatasetError
from anymask.formats.labelme_dataset import LabelMeDataset
from anymask.segment import rle

HEIGHT, WIDTH = 40, 50


def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", pixels)
    assert done
    return data.tobytes()


def write(folder: Path, shapes: list[Any], name: str = "a", **extra: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": "5.4.1", "imagePath": f"{name}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content | {"shapes": shapes} | extra))
    (folder / f"{name}.png").write_bytes(encoded(image()))
    return path


def shape(kind: str, points: Any, label: str = "cell", group: int | None = None, **extra: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}} | extra


def decoded(dataset: LabelMeDataset, index: int = 0) -> list[NDArray[np.bool_]]:
    return [rle.decode(mask) for mask in dataset.masks(index)]


def test_shapes_with_area(tmp_path: Path) -> None:
    blob = np.zeros((6, 9), np.uint8)
    blob[1:5, 2:8] = 255
    shapes = [
        shape("polygon", [[5, 5], [20, 5], [20, 15], [5, 15]], "square"),
        shape("rectangle", [[30, 20], [10, 30]], "turned round"),
        shape("circle", [[25, 20], [25, 27]], "disc"),
        shape("mask", [[40, 30], [48, 35]], "blob", mask=base64.b64encode(encoded(blob)).decode()),
        shape("point", [[3, 3]]),
        shape("linestrip", [[3, 3], [8, 9], [10, 10]]),
    ]
    write(tmp_path, shapes)
    dataset = LabelMeDataset(tmp_path)
    square, turned, disc, mask = decoded(dataset)
    assert dataset.categories(0) == ["square", "turned round", "disc", "blob"]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:15, 5:20] = True
    np.testing.assert_array_equal(square, expected)
    expected[:] = False
    expected[20:30, 10:30] = True
    np.testing.assert_array_equal(turned, expected)
    assert abs(disc.sum() - np.pi * 49) < 6
    np.testing.assert_array_equal(disc[13:27, 18:32], disc[13:27, 18:32][::-1, ::-1])
    assert not disc[:13].any()
    expected[:] = False
    expected[31:35, 42:48] = True
    np.testing.assert_array_equal(mask, expected)


def test_shapes_of_one_group_are_one_object(tmp_path: Path) -> None:
    left, right = [[2, 2], [10, 10]], [[20, 2], [30, 10]]
    shapes = [
        shape("rectangle", left, group=1),
        shape("rectangle", [[40, 20], [45, 30]]),
        shape("rectangle", right, group=1),
        shape("rectangle", right, "other", group=1),
        shape("rectangle", left, group=0),
    ]
    write(tmp_path, shapes)
    masks = LabelMeDataset(tmp_path).masks(0)
    assert coco_mask.area(masks).tolist() == [64 + 80, 50, 80, 64]


def test_the_image_is_found_in_every_place(tmp_path: Path) -> None:
    square = [shape("rectangle", [[2, 2], [10, 10]])]
    write(tmp_path / "beside", square)
    elsewhere = write(tmp_path / "elsewhere", square, imagePath="..\\beside\\a.png")
    (tmp_path / "elsewhere" / "a.png").unlink()
    inside = write(tmp_path / "inside", square, imageData=base64.b64encode(encoded(image())).decode())
    (tmp_path / "inside" / "a.png").unlink()
    write(tmp_path / "renamed", square, imagePath="IMG_0001.JPG")
    for folder in ("beside", "elsewhere", "inside", "renamed"):
        np.testing.assert_array_equal(LabelMeDataset(tmp_path / folder).image(0), image()[..., ::-1])
    assert LabelMeDataset(tmp_path / "elsewhere").name(0) == "a.png"
    inside.write_text(inside.read_text().replace('"imageData": "', '"imageData": "!'))
    with pytest.raises(DatasetError, match=r"a\.json: its imageData is not base64"):
        LabelMeDataset(tmp_path / "inside").image(0)
    elsewhere.write_text(elsewhere.read_text().replace("beside", "gone"))
    with pytest.raises(DatasetError, match="holds no imageData; put the image beside the JSON"):
        LabelMeDataset(tmp_path / "elsewhere").image(0)


def test_a_size_that_is_not_stated_is_the_image_s(tmp_path: Path) -> None:
    write(tmp_path, [shape("rectangle", [[2, 2], [10, 10]])], imageHeight=None)
    assert LabelMeDataset(tmp_path).masks(0)[0]["size"] == [HEIGHT, WIDTH]


def test_files_of_other_tools_and_without_shapes_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, [shape("rectangle", [[2, 2], [10, 10]])])
    write(tmp_path, [], name="empty")
    (tmp_path / "classes.json").write_text('["cell"]')
    dataset = LabelMeDataset(tmp_path)
    assert [dataset.name(index) for index in range(len(dataset))] == ["a.png"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape("star", [[1, 1], [2, 2]]), r"shape 0 of .*a\.json: unknown shape_type 'star'; objects are polygon"),
        (shape("polygon", [[1, 1], [2, 2]]), "no polygon of at least three corners"),
        (shape("rectangle", [[1, 1], [2, 2], [3, 3]]), "a rectangle has two points, this one 3"),
        (shape("polygon", "corners"), "is not LabelMe's"),
        ({"label": "x"}, "is not LabelMe's: KeyError"),
        ("cell", "is not LabelMe's"),
        (shape("mask", [[45, 2], [48, 4]], mask=base64.b64encode(encoded(np.full((6, 9), 1, np.uint8))).decode()),
         "leaves the image, which is 50 x 40"),
        (shape("mask", [[1, 2], [4, 4]], mask="bm90IGFuIGltYWdl"), "cannot read the image of a mask shape inside"),
    ],
)  # fmt: skip
def test_wrong_shapes(tmp_path: Path, wrong: Any, message: str) -> None:
    path = write(tmp_path, [wrong])
    dataset = LabelMeDataset(tmp_path)
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.masks(0)
    assert str(path) in str(caught.value)


def test_wrong_folders_and_sizes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no JSON file of LabelMe"):
        LabelMeDataset(tmp_path)
    path = write(tmp_path, [shape("rectangle", [[2, 2], [10, 10]])], imageHeight=41)
    with pytest.raises(DatasetError, match=r"a\.png is 50 x 40, but its annotations are for 50 x 41"):
        LabelMeDataset(tmp_path).image(0)
    with pytest.raises(DatasetError, match="is not a folder"):
        LabelMeDataset(path)
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"a\.json is not valid JSON"):
        LabelMeDataset(tmp_path)
