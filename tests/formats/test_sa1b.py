"""SA-1B's layout as the published data set has it, written and read."""

import json
import zlib
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from pycocotools import mask as coco_mask
from random_images import random_masks

from anymask.formats.annotated import AnnotatedImage, FormatError, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.sa1b import Sa1b, image_number
from anymask.segment.masks import Masks

NUMBERS = {"type": "array", "items": {"type": "number"}}
SCHEMA = {
    "type": "object",
    "required": ["image", "annotations"],
    "additionalProperties": False,
    "properties": {
        "image": {
            "type": "object",
            "required": ["image_id", "width", "height", "file_name"],
            "properties": {
                "image_id": {"type": "integer"},
                "width": {"type": "integer", "minimum": 1},
                "height": {"type": "integer", "minimum": 1},
                "file_name": {"type": "string"},
            },
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    *("id", "segmentation", "bbox", "area"),
                    *("predicted_iou", "stability_score", "crop_box", "point_coords"),
                ],
                "properties": {
                    "id": {"type": "integer"},
                    "segmentation": {
                        "type": "object",
                        "required": ["size", "counts"],
                        "properties": {
                            "size": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                            "counts": {"type": "string"},
                        },
                    },
                    "bbox": {**NUMBERS, "minItems": 4, "maxItems": 4},
                    "area": {"type": "integer"},
                    "predicted_iou": {"type": "number"},
                    "stability_score": {"type": "number"},
                    "crop_box": {**NUMBERS, "minItems": 4, "maxItems": 4},
                    "point_coords": {"type": "array", "items": {**NUMBERS, "minItems": 2, "maxItems": 2}},
                },
            },
        },
    },
}
"""As the data set's own description lists the fields."""


def generated() -> Masks:
    arrays = np.zeros((2, 30, 40), dtype=np.bool_)
    arrays[0, 5:20, 8:30] = True
    arrays[1, 10:12, 10:12] = True
    return Masks.from_arrays(
        arrays,
        scores=[0.9, 0.8],
        stability=[0.97, 0.96],
        points=[[9, 6], [11, 11]],
        crops=[[0, 0, 40, 30], [5, 5, 25, 25]],
    )


def write(folder: Path, *images: AnnotatedImage) -> Losses:
    losses = Losses()
    with Sa1b().open_writer(folder, losses, with_pictures=True) as writer:
        for image in images:
            writer.write(image)
    return losses


def test_a_file_has_the_published_fields(tmp_path: Path) -> None:
    write(tmp_path, AnnotatedImage("sa_223750.jpg", generated()))
    content = json.loads((tmp_path / "sa_223750.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["image"]["image_id"] == 223750
    assert content["annotations"][1]["crop_box"] == [5, 5, 20, 20]
    assert content["annotations"][0]["bbox"] == [8, 5, 22, 15]
    decoded = coco_mask.decode(content["annotations"][0]["segmentation"])
    assert np.array_equal(decoded, generated().mask(0))


@given(masks=random_masks())
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, masks: Masks) -> None:
    folder = tmp_path_factory.mktemp("set")
    losses = write(folder, AnnotatedImage("a/b.jpg", masks))
    [image] = Sa1b().read(folder)
    assert losses.lines() == []
    assert image.name == "a/b.jpg"
    assert image.masks == masks


def test_pictures_lie_beside_and_are_found(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "there.png")
    image = AnnotatedImage("deep/sa_1.png", generated(), tmp_path / "there.png")
    write(tmp_path / "set", image)
    [found] = Sa1b().read(tmp_path / "set")
    assert found.picture == tmp_path / "set/deep/sa_1.png"
    found.picture.rename(tmp_path / "sa_1.png")
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "sa_1.png").rename(tmp_path / "elsewhere/deep/sa_1.png")
    [found] = Sa1b().read(tmp_path / "set", tmp_path / "elsewhere")
    assert found.picture == tmp_path / "elsewhere/deep/sa_1.png"


def test_two_images_that_differ_in_their_ending_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, AnnotatedImage("a.jpg", generated()), AnnotatedImage("a.png", generated()[:1]))
    assert {image.name: len(image.masks) for image in Sa1b().read(tmp_path)} == {"a.jpg": 2, "a.png": 1}
    with pytest.raises(FormatError, match=r"two images have the name a\.jpg"):
        write(tmp_path / "again", AnnotatedImage("a.jpg", generated()), AnnotatedImage("a.jpg", generated()))


def test_numbers_that_json_has_not_are_left_out_and_counted(tmp_path: Path) -> None:
    losses = write(tmp_path, AnnotatedImage("a.jpg", generated().replace(scores=[0.5, np.nan])))
    [image] = Sa1b().read(tmp_path)
    assert image.masks.scores is None
    assert image.masks.stability is not None
    assert "scores" in losses.lines()[0]


def test_a_broken_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path, *(AnnotatedImage(name, generated()) for name in ("a.jpg", "b.jpg", "c.jpg")))
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text().replace('"size":[30,40]', '"size":[30,41]'))
    (tmp_path / "notes.json").write_text("[]")
    (tmp_path / ".anymask").mkdir()
    (tmp_path / ".anymask/run.json").write_text("{}")
    first, error, last = Sa1b().read_each(tmp_path)
    assert (first.name, last.name) == ("a.jpg", "c.jpg")
    assert isinstance(error, DatasetError)
    assert "b.json" in str(error)
    with pytest.raises(DatasetError, match=r"b\.json"):
        list(Sa1b().read(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", '{"image": {"width": 4}, "annotations": []}', '{"image": 3}'])
def test_what_is_not_this_layout_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DatasetError, match=r"a\.json"):
        list(Sa1b().read(tmp_path / "a.json"))


def test_names_from_a_file_do_not_leave_the_folder(tmp_path: Path) -> None:
    write(tmp_path, AnnotatedImage("a.jpg", generated()))
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"a.jpg"', '"../../etc/a.jpg"'))
    [image] = Sa1b().read(tmp_path)
    assert image.name == "a.jpg"


@pytest.mark.parametrize(
    ("name", "number"), [("sa_12.jpg", 12), ("000000000139.jpg", 139), ("x/7.tar.png", zlib.crc32(b"x/7.tar.png"))]
)
def test_image_numbers(name: str, number: int) -> None:
    assert image_number(name) == number
