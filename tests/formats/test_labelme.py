"""LabelMe's files, written: exact by anymask's rules and by LabelMe's own, and read as LabelMe leaves them."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from random_images import random_masks
from small_set import shapes

from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.labelme import LabelMe
from anymask.formats.labelme_dataset import LabelMeDataset
from anymask.formats.registry import recognise_format
from anymask.segment import rle
from anymask.segment.masks import Masks

POINT = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"],
    "additionalProperties": False,
    "properties": {
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "imagePath": {"type": "string", "minLength": 1},
        "imageData": {"type": ["string", "null"]},
        "imageHeight": {"type": "integer", "minimum": 1},
        "imageWidth": {"type": "integer", "minimum": 1},
        "shapes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["label", "points", "group_id", "description", "shape_type", "flags", "mask"],
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "string", "minLength": 1},
                    "group_id": {"type": ["integer", "null"]},
                    "description": {"type": "string"},
                    "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "shape_type": {},
                    "points": {},
                    "mask": {},
                },
                "oneOf": [
                    {
                        "properties": {
                            "shape_type": {"const": "polygon"},
                            "points": {"type": "array", "items": POINT, "minItems": 3},
                            "mask": {"type": "null"},
                        }
                    },
                    {
                        "properties": {
                            "shape_type": {"const": "mask"},
                            "points": {"type": "array", "items": POINT, "minItems": 2, "maxItems": 2},
                            "mask": {"type": "string", "minLength": 1},
                        }
                    },
                ],
            },
        },
    },
}
"""What LabelMe 5 and 6 save."""


def content_of(masks: Masks, losses: Losses | None = None, name: str = "a.jpg") -> dict[str, Any]:
    ((file, text),) = LabelMe().files(AnnotatedImage(name, masks), "key", losses or Losses())
    assert file == "key.json"
    content = json.loads(text)
    Draft202012Validator(SCHEMA).validate(content)
    return content


def as_labelme_draws(shape: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Paint a shape as LabelMe does: Pillow's polygon with its outline; a mask from its first to its last pixel."""
    drawn = Image.new("1", size[::-1])
    if shape["shape_type"] == "polygon":
        ImageDraw.Draw(drawn).polygon([tuple(point) for point in shape["points"]], fill=1, outline=1)
        return np.asarray(drawn)
    inside = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))).astype(bool)
    (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int).tolist()
    mask = np.zeros(size, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = inside
    return mask


def merged(shapes_: list[dict[str, Any]], size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """Unite shapes of the same group, as LabelMe's exporters of instances do."""
    groups: dict[Any, NDArray[np.bool_]] = {}
    for number, shape in enumerate(shapes_):
        key = f"alone {number}" if shape["group_id"] is None else (shape["label"], shape["group_id"])
        groups[key] = groups.get(key, np.zeros(size, bool)) | as_labelme_draws(shape, size)
    return list(groups.values())


def expected_labels(masks: Masks) -> list[str | None] | None:
    labels = [label or None for label in masks.labels or []]
    return labels if any(labels) else None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks=random_masks())
def test_there_and_back(tmp_path: Path, masks: Masks) -> None:
    losses = Losses()
    content = content_of(masks, losses)
    there = masks[masks.areas > 0]
    drawn = merged(content["shapes"], masks.size)
    assert len(drawn) == len(there)
    for index, mask in enumerate(drawn):
        np.testing.assert_array_equal(mask, there.mask(index))
    (tmp_path / "key.json").write_text(json.dumps(content))
    (image,) = LabelMe().read(tmp_path / "key.json")
    assert image.name == "a.jpg"
    assert image.masks.size == masks.size
    assert image.masks.rles == there.rles
    assert image.masks.labels == expected_labels(there)
    assert losses.counts["masks without a pixel are left out"] == len(masks) - len(there)
    assert losses.counts["scores are not written"] == (0 if masks.scores is None else len(masks))


def test_what_shapes_are_written() -> None:
    content = content_of(Masks.from_arrays(shapes(31, 43), labels=["ring", "object", *["x"] * 4, "nothing", None]))
    kinds = [(one["label"], one["shape_type"], one["group_id"]) for one in content["shapes"]]
    assert kinds == [
        ("ring", "mask", None),
        ("object", "polygon", 1),
        ("object", "polygon", 1),
        ("x", "polygon", None),
        ("x", "polygon", None),
        ("x", "polygon", 4),
        ("x", "polygon", 4),
        ("x", "polygon", None),
        ("object", "polygon", None),
    ]
    assert [one["flags"] for one in content["shapes"]] == [{}] * 8 + [{"unlabelled": True}]
    rectangle = content["shapes"][-1]["points"]
    assert sorted(rectangle) == [[20, 20], [20, 23.99], [28.99, 20], [28.99, 23.99]]
    assert content["shapes"][0]["points"] == [[2, 2], [16, 14]]
    assert content["imageData"] is None


def test_polygons_fill_what_they_should_at_any_size() -> None:
    """Blobs like those of photographs: each part is a polygon, and no corner is further off than a hundredth."""
    noise = np.random.default_rng(0).random((12, 120, 160)).astype(np.float32)
    smooth = np.array([cv2.GaussianBlur(one, (0, 0), 4) for one in noise])
    masks = Masks.from_arrays(smooth > np.quantile(smooth, 0.8))
    content = content_of(masks)
    assert {one["shape_type"] for one in content["shapes"] if one["points"][2:]} == {"polygon"}
    drawn = merged(content["shapes"], masks.size)
    np.testing.assert_array_equal(drawn, masks.decode())
    for shape in content["shapes"]:
        if shape["shape_type"] == "polygon":
            corners = np.array(shape["points"])
            assert abs(corners - np.round(corners)).max() < 0.0101


def test_an_object_called_object_keeps_its_name(tmp_path: Path) -> None:
    masks = Masks.from_arrays(shapes(31, 43)[[2, 7, 7]], labels=["object", None, "b"])
    content = content_of(masks)
    # In LabelMe somebody gives the second one a name; flags stay.
    for text, labels in (("object", ["object", None, "b"]), ("cup", ["object", "cup", "b"])):
        content["shapes"][1]["label"] = text
        (tmp_path / "a.json").write_text(json.dumps(content))
        (image,) = LabelMe().read(tmp_path)
        assert image.masks.labels == labels
    assert LabelMeDataset(tmp_path).categories(0) == ["object", "cup", "b"]
    content["shapes"][1]["label"] = "object"
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert LabelMeDataset(tmp_path).categories(0) == ["object", "", "b"]


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def minimal(**more: Any) -> dict[str, Any]:
    square = {"label": "a", "shape_type": "rectangle", "points": [[1, 1], [5, 4]]}
    return {"shapes": [square], "imagePath": "a.png", "imageHeight": 6, "imageWidth": 8} | more


def picture(path: Path, size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def test_names_and_pictures(tmp_path: Path) -> None:
    """imagePath is relative to the JSON, from Windows or not; names stay inside the folder."""
    places = {
        "beside.json": ("photo.png", "photo.png"),
        "labels/up.json": ("../images/up.png", "images/up.png"),
        "labels/windows.json": ("..\\images\\windows.png", "images/windows.png"),
        "labels/drive.json": ("C:\\Users\\me\\drive.png", "labels/drive.png"),
        "labels/out.json": ("../../../out.png", "labels/out.png"),
        "labels/root.json": ("/srv/root.png", "labels/root.png"),
        "none.json": (None, "none.jpg"),
    }
    for file, (given_path, _) in places.items():
        save(tmp_path / "set" / file, minimal(imagePath=given_path))
    for name in ("photo.png", "images/up.png", "images/windows.png"):
        picture(tmp_path / "set" / name)
    beside = picture(tmp_path / "set" / "none.png")
    images = {image.name: image.picture for image in LabelMe().read(tmp_path / "set")}
    assert images.keys() == {name for _, name in places.values()}
    assert {name: found.resolve() for name, found in images.items() if isinstance(found, Path)} == {
        "photo.png": tmp_path / "set" / "photo.png",
        "images/up.png": tmp_path / "set" / "images" / "up.png",
        "images/windows.png": tmp_path / "set" / "images" / "windows.png",
        "none.jpg": beside,
    }
    elsewhere = picture(tmp_path / "photos" / "drive.png")
    found = {image.name: image.picture for image in LabelMe().read(tmp_path / "set", tmp_path / "photos")}
    assert found["labels/drive.png"] == elsewhere


def test_a_size_that_is_not_stated_is_the_image_s(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", minimal(imageHeight=None))
    with pytest.raises(DatasetError, match=r"a\.json does not say how large its image is, and the image a\.png is not"):
        list(LabelMe().read(path))
    data = picture(tmp_path / "other.png").read_bytes()
    save(path, minimal(imageHeight=None, imageData=base64.b64encode(data).decode()))
    (image,) = LabelMe().read(path)
    assert (image.masks.size, image.picture) == ((6, 8), data)
    save(path, minimal(imageHeight=None, imageData=base64.b64encode(b"nothing").decode()))
    with pytest.raises(DatasetError, match=r"cannot read the image of .*a\.json"):
        list(LabelMe().read(path))


def test_points_and_lines_alone_make_an_image_without_masks(tmp_path: Path) -> None:
    line = {"label": "a", "shape_type": "linestrip", "points": [[1, 1], [5, 4]]}
    save(tmp_path / "a.json", minimal(shapes=[line]))
    (image,) = LabelMe().read(tmp_path)
    assert len(image.masks) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        (minimal(imageHeight=0), "size is"),
        (minimal(shapes=[{"shape_type": "star", "points": []}]), "shape 0 of .*unknown shape_type 'star'"),
        (minimal(shapes=[{"label": "a", "points": [[1, 1], [2, 5], [4, 4]], "group_id": []}]), "is not LabelMe's"),
    ],
)
def test_a_broken_file_does_not_hide_the_others(tmp_path: Path, content: Any, message: str) -> None:
    path = save(tmp_path / "a.json", content)
    save(tmp_path / "b.json", minimal())
    save(tmp_path / "classes.json", ["a", "b"])
    first, second = LabelMe().read_each(tmp_path)
    assert isinstance(first, DatasetError)
    assert str(path) in str(first)
    with pytest.raises(DatasetError, match=message):
        list(LabelMe().read(tmp_path))
    assert isinstance(second, AnnotatedImage)
    assert rle.decode(second.masks.rles[0]).sum() == 12


def test_recognising(tmp_path: Path) -> None:
    assert recognise_format(save(tmp_path / "a.json", minimal())).name == "labelme"
    assert recognise_format(tmp_path).name == "labelme"
    save(tmp_path / "other" / "a.json", {"points": []})
    with pytest.raises(DatasetError, match="holds no JSON of LabelMe"):
        list(LabelMe().read(tmp_path / "other"))
