"""Label Studio's tasks: written for import, and read as exported, in all the ways that its projects differ."""

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from numpy.typing import NDArray
from PIL import Image
from random_images import FINITE, random_images

from anymask.formats.annotated import AnnotatedImage, FormatError, FormatWarning, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.label_studio import LabelStudio
from anymask.formats.label_studio_rle import encode_brush
from anymask.formats.registry import recognise_format
from anymask.segment.masks import Masks

SIZE = (6, 8)
MASK = np.zeros(SIZE, bool)
MASK[1:4, 2:7] = True
REGION: dict[str, Any] = {
    "type": "object",
    "required": ["id", "from_name", "to_name", "type", "value", "original_width", "original_height", "image_rotation"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "from_name": {"const": "tag"},
        "to_name": {"const": "image"},
        "type": {"const": "brushlabels"},
        "original_width": {"type": "integer", "minimum": 1},
        "original_height": {"type": "integer", "minimum": 1},
        "image_rotation": {"const": 0},
        "value": {
            "type": "object",
            "required": ["format", "rle", "brushlabels"],
            "properties": {
                "format": {"const": "rle"},
                "rle": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 7},
                "brushlabels": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            },
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
            "annotations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["result"],
                    "properties": {"result": {"type": "array", "items": REGION}},
                },
            },
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["model_version", "result"],
                    "properties": {
                        "model_version": {"type": "string"},
                        "score": {"type": "number"},
                        "result": {
                            "type": "array",
                            "items": {**REGION, "required": [*REGION["required"], "score"]},
                        },
                    },
                },
            },
        },
        "oneOf": [{"required": ["annotations"]}, {"required": ["predictions"]}],
    },
}
"""What Label Studio's documentation asks of tasks with brush regions."""


def write(path: Path, *images: AnnotatedImage, losses: Losses | None = None) -> Any:
    with LabelStudio().open_writer(path, losses or Losses()) as writer:
        for image in images:
            writer.write(image)
    content = json.loads(path.read_bytes())
    Draft202012Validator(SCHEMA).validate(content)
    return content


def save(path: Path, *tasks: Any) -> Path:
    path.write_text(json.dumps(list(tasks)))
    return path


def read(path: Path, pictures: Path | None = None) -> list[AnnotatedImage]:
    return list(LabelStudio().read(path, pictures))


def stream(mask: NDArray[np.bool_] = MASK) -> list[int]:
    return encode_brush(mask, (0, 0), (mask.shape[0], mask.shape[1]))


def region(kind: str = "brushlabels", labels: Any = ("cup",), **more: Any) -> dict[str, Any]:
    """A result of an export; "brushlabels" names its type and its list of labels."""
    value = {"format": "rle", "rle": stream(), kind: list(labels)} if kind == "brushlabels" else {kind: list(labels)}
    value |= more.pop("value", {})
    size = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    return {"id": "r1", "type": kind, "from_name": "tag", "to_name": "image", **size, "value": value} | more


def task(*regions: Any, image: Any = "/data/local-files/?d=a.jpg", **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(regions)}]} | more


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=random_images(FINITE))
def test_there_and_back(tmp_path: Path, images: list[AnnotatedImage]) -> None:
    losses = Losses()
    path = tmp_path / "tasks.json"
    tasks = write(path, *images, losses=losses)
    addresses = [parse_qs(urlsplit(one["data"]["image"]).query)["d"] for one in tasks]
    assert addresses == [[image.name] for image in images]
    found = read(path)
    assert [image.name for image in found] == [image.name for image in images]
    for image, one in zip(images, found, strict=True):
        labels = [label or None for label in image.masks.labels or []]
        expected = image.masks.replace(stability=None, points=None, crops=None)
        assert one.masks == expected.replace(labels=labels if any(labels) else None)
    with_points = sum(len(image.masks) for image in images if image.masks.points is not None)
    assert losses.counts["points are not written"] == with_points


def test_scores_make_predictions(tmp_path: Path) -> None:
    plain = Masks.from_arrays([MASK, ~MASK], labels=["cup", None])
    tasks = write(
        tmp_path / "tasks.json",
        AnnotatedImage("a.jpg", plain),
        AnnotatedImage("b.jpg", plain.replace(scores=[0.5, 0.75])),
        AnnotatedImage("c.jpg", Masks.empty(SIZE)),
    )
    drawn, suggested, nothing = tasks
    assert drawn.keys() == {"data", "annotations"}
    assert suggested.keys() == {"data", "predictions"}
    (prediction,) = suggested["predictions"]
    assert (prediction["score"], [one["score"] for one in prediction["result"]]) == (0.625, [0.5, 0.75])
    labels = [(one["value"]["brushlabels"], one.get("meta")) for one in prediction["result"]]
    assert labels == [(["cup"], None), (["object"], {"unlabelled": True})]
    assert (nothing["annotations"], nothing["data"]["width"], nothing["data"]["height"]) == ([], 8, 6)


def test_scores_that_json_has_not_are_left_out_and_counted(tmp_path: Path) -> None:
    losses = Losses()
    masks = Masks.from_arrays([MASK, MASK], scores=[np.inf, 0.5])
    tasks = write(tmp_path / "tasks.json", AnnotatedImage("a.jpg", masks), losses=losses)
    assert "predictions" not in tasks[0]
    assert losses.lines() == ["scores of an image are left out where one is infinite or no number (2 masks)"]


def test_the_labelling_interface(tmp_path: Path) -> None:
    """It has the names that the regions refer to, and every label, quoted."""
    labels = ['say "a" & <b>', "größe", None]
    tasks = write(tmp_path / "my tasks.v2.json", AnnotatedImage("a.jpg", Masks.from_arrays([MASK] * 3, labels=labels)))
    view = ElementTree.parse(tmp_path / "my tasks.v2.label_config.xml").getroot()
    image, brush = view
    result = tasks[0]["annotations"][0]["result"][0]
    assert (image.tag, image.get("name"), image.get("value")) == ("Image", result["to_name"], "$image")
    assert (brush.tag, brush.get("name"), brush.get("toName")) == ("BrushLabels", result["from_name"], "image")
    assert [one.get("value") for one in brush] == sorted(["größe", "object", 'say "a" & <b>'])


def test_nothing_is_written_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text("mine")
    image = AnnotatedImage("a.jpg", Masks.from_arrays(MASK))
    with pytest.raises(FormatError, match=r"two images have the name a\.jpg"):
        write(path, image, image)
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["tasks.json"]


def test_tasks_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = save(tmp_path / "tasks.json", task(region()), task(region(), image=5))
    images = LabelStudio().read(path)
    assert next(images).name == "a.jpg"
    with pytest.raises(DatasetError, match=r"task 1 of .*tasks\.json has no image"):
        next(images)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/3/abcd1234-my%20photo.jpg", "my photo.jpg"),
        ("http://localhost:8080/data/upload/3/0123abcd-abcdefab-a.jpg", "abcdefab-a.jpg"),
        ("/data/upload/3/holidays-a.jpg", "holidays-a.jpg"),
        ("/data/local-files/?d=street/a%20b.jpg", "street/a b.jpg"),
        ("/data/local-files/?d=../../etc/a.jpg", "a.jpg"),
        ("/data/local-files/?d=C%3A%5Cme%5Ca.jpg", "a.jpg"),
        ("https://example.com/deep/a.jpg?token=1#x", "a.jpg"),
        ("s3://bucket/deep/a.jpg", "deep/a.jpg"),
        ("gs://bucket/a.jpg", "a.jpg"),
        ("street/a#1.jpg", "street/a#1.jpg"),
        ("C:\\me\\a.jpg", "a.jpg"),
        ("/home/me/a.jpg", "a.jpg"),
        (["/data/upload/3/abcd1234-a.jpg"], "a.jpg"),
    ],
)
def test_names(tmp_path: Path, address: Any, name: str) -> None:
    path = save(tmp_path / "tasks.json", task(region(), image=address))
    assert [image.name for image in read(path)] == [name]


def test_the_picture_under_another_key_and_inside_the_task(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 6)).save(data, "JPEG")
    inside = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    path = save(
        tmp_path / "tasks.json",
        task(region(), data={"title": "a cup", "photo": "https://example.com/b.png"}),
        task(image=inside),
    )
    first, second = read(path)
    assert (first.name, second.name) == ("b.png", "task-7.jpg")
    assert second.picture == data.getvalue()
    assert second.masks.size == SIZE


def test_pictures_give_the_size_of_tasks_without_regions(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (9, 5)).save(tmp_path / "photos" / "a.jpg")
    path = save(tmp_path / "tasks.json", task(image="https://example.com/x/a.jpg"), task(region(), image="b.jpg"))
    with pytest.warns(FormatWarning, match=r"tasks without regions do not say .*--pictures\) \(1 left out\)"):
        assert [image.name for image in read(path)] == ["b.jpg"]
    first, second = read(path, tmp_path / "photos")
    assert (first.masks.size, first.picture) == ((5, 9), tmp_path / "photos" / "a.jpg")
    assert second.picture is None


def masks_of(path: Path) -> Masks:
    (image,) = read(path)
    return image.masks


def test_every_kind_of_region(tmp_path: Path) -> None:
    """Brush, polygon in percent, bitmask; brush with its labels in another result; several labels; none."""
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[..., 3] = MASK * np.uint8(255)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    bitmask = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    corners = [[2 / 8 * 100, 1 / 6 * 100], [7 / 8 * 100, 1 / 6 * 100], [87.5, 4 / 6 * 100], [25, 66.66666667]]
    regions = [
        region(id="1", labels=["brush"], score=0.5),
        region("polygonlabels", ["polygon"], id="2", value={"points": corners, "closed": True}),
        region("bitmasklabels", ["bits"], id="3", value={"imageDataURL": bitmask}),
        region("brush", [], id="4", value={"format": "rle", "rle": stream()}),
        region("labels", ["apart"], id="4", value={"format": "rle", "rle": stream()}),
        region("choices", ["blurred"], id="4", value={"choices": ["blurred"]}),
        region(id="5", labels=["both", "of them"]),
        region(id="6", labels=[]),
        {"type": "relation", "from_id": "1", "to_id": "2"},
    ]
    masks = masks_of(save(tmp_path / "tasks.json", task(*regions)))
    assert masks.labels == ["brush", "polygon", "bits", "apart", "both", "of them", None]
    assert masks.scores is None
    np.testing.assert_array_equal(masks.decode(), [MASK] * 7)


def test_regions_with_the_same_id_are_not_lost(tmp_path: Path) -> None:
    masks = masks_of(save(tmp_path / "tasks.json", task(region(), region(labels=["dog"]))))
    assert masks.labels == ["cup", "dog"]


def test_rotation_is_only_how_it_was_shown(tmp_path: Path) -> None:
    masks = masks_of(save(tmp_path / "tasks.json", task(region(image_rotation=90))))
    np.testing.assert_array_equal(masks.decode(), [MASK])


def test_regions_that_are_no_masks_are_counted(tmp_path: Path) -> None:
    box = {"x": 1, "y": 1, "width": 5, "height": 5}
    regions = [
        region("rectanglelabels", id="1", value=box),
        region("rectangle", [], id="2", value=box),
        region("labels", id="2", value=box),
        region("keypointlabels", id="3", value=box),
        region("polygonlabels", id="4", value={"points": [[1, 1], [2, 2]]}),
        region(id="5"),
    ]
    path = save(tmp_path / "tasks.json", task(*regions), task(regions[0], image="b.jpg"))
    with pytest.warns(FormatWarning) as caught:
        first, second = read(path)
    assert sorted(str(one.message).partition(": ")[2] for one in caught) == [
        "keypointlabels regions are no masks (1 left out)",
        "polygons that are not closed are no masks (1 left out)",
        "rectangle regions are no masks (1 left out)",
        "rectanglelabels regions are no masks (2 left out)",
    ]
    assert first.masks.labels == ["cup"]
    assert (len(second.masks), second.masks.size) == (0, SIZE)


def test_which_annotation_counts(tmp_path: Path) -> None:
    def one(label: str, **more: Any) -> dict[str, Any]:
        return {"result": [region(labels=[label])]} | more

    old, new = {"created_at": "2024-01-01T00:00:00Z"}, {"created_at": "2024-06-01T00:00:00Z"}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"annotations": [one("old", **old), one("new", **new)]}, ["new"]),
        ({"annotations": [one("true", ground_truth=True, **old), one("new", **new)]}, ["true"]),
        ({"annotations": [one("old", **old), one("new", was_cancelled=True, **new)]}, ["old"]),
        ({"annotations": [one("a")], "predictions": [one("p", score=0.5)]}, ["a"]),
        ({"annotations": [one("a", was_cancelled=True)], "predictions": [one("p", score=0.5)]}, ["p"]),
        ({"annotations": [], "predictions": [one("p", **old), one("q", **new)]}, ["q"]),
        ({"annotations": None, "completions": [one("ancient")]}, ["ancient"]),
    ]
    for given_task, labels in cases:
        assert masks_of(save(tmp_path / "tasks.json", task() | given_task)).labels == labels
    suggested = task() | {"annotations": [], "predictions": [one("p", score=0.5)]}
    assert masks_of(save(tmp_path / "tasks.json", suggested)).scores.tolist() == [0.5]  # type: ignore[union-attr]


def test_json_min(tmp_path: Path) -> None:
    size = {"original_width": 8, "original_height": 6}
    content = {
        "image": "/data/upload/1/abcd1234-a.jpg",
        "id": 3,
        "tag": [
            {"format": "rle", "rle": stream(), "brushlabels": ["cup"], **size},
            {"points": [[0, 0], [100, 0], [100, 100], [0, 100]], "polygonlabels": ["all"], **size},
        ],
        "annotator": 1,
        "created_at": "2024-01-01T00:00:00Z",
    }
    path = save(tmp_path / "tasks.json", content)
    assert recognise_format(path).name == "label-studio"
    (image,) = read(path)
    assert (image.name, image.masks.labels) == ("a.jpg", ["cup", "all"])
    np.testing.assert_array_equal(image.masks.decode(), [MASK, np.ones(SIZE, bool)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task", "task 0 of .* is not Label Studio's"),
        (task(data={}), "has no image"),
        (task(region(value={"rle": [1, 2]})), "region r1: a brush region's rle has a header"),
        (task(region(original_width=9)), r"region r1: .* an image of 9 x 6 pixels has 216"),
        (task(region(original_width=None)), "does not say how large its picture is"),
        (task(region(original_width="8")), "the picture's size '8' x 6 is not in pixels"),
        (task(region(), region(original_width=9)), "lie on several pictures"),
        (task(region(item_index=1)), "lie on several pictures"),
        (task(region("polygonlabels", value={"points": [[1, 1], [2, "b"], [3, 3]]})), "a list of .x, y. in percent"),
        (task(region("bitmasklabels", value={"imageDataURL": "data:image/png;base64,!"})), "is not base64"),
        (task(region("bitmasklabels", value={"imageDataURL": "data:image/png;base64,YQ=="})), "no PNG file"),
        (task("region"), "is not Label Studio's"),
        (task(annotations=["a"]), "is not Label Studio's"),
        (task(region(), image="/data/local-files/?d=.."), "is not the name of a picture"),
    ],
)
def test_broken_tasks(tmp_path: Path, content: Any, message: str) -> None:
    path = save(tmp_path / "tasks.json", content)
    with pytest.raises(DatasetError, match=message) as caught:
        read(path)
    assert f"task 0 of {path}" in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "size", "message"), [("RGBA", (9, 6), "is 9 x 6, its picture 8 x 6"), ("RGB", (8, 6), "no transparency")]
)
def test_broken_bitmasks(tmp_path: Path, mode: str, size: tuple[int, int], message: str) -> None:
    data = io.BytesIO()
    Image.new(mode, size).save(data, "PNG")
    address = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    path = save(tmp_path / "tasks.json", task(region("bitmasklabels", value={"imageDataURL": address})))
    with pytest.raises(DatasetError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}", "is not a list of Label Studio's tasks"), ("[", "is not valid JSON"), ("[] 1", "is not valid JSON")],
)
def test_files_that_are_no_lists(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read(path)
    with pytest.raises(DatasetError, match="is a folder, and label-studio is one file"):
        read(tmp_path)


def test_recognising(tmp_path: Path) -> None:
    assert recognise_format(save(tmp_path / "tasks.json", task(region()))).name == "label-studio"
    for other in ([], {"image": "a.jpg"}, {"data": {"text": "a review"}}):
        assert not LabelStudio().recognises(save(tmp_path / "other.json", other))
    assert not LabelStudio().recognises(tmp_path)
