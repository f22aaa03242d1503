"""COCO's instances file, from and to other tools, and at any size."""

import itertools
import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from random_images import random_images, random_masks

from anymask.formats.annotated import AnnotatedImage, FormatError, FormatWarning, Losses
from anymask.formats.coco import Coco, CocoPolygons
from anymask.formats.coco_dataset import CocoDataset
from anymask.formats.instances import DatasetError
from anymask.formats.registry import FORMATS, recognise_format
from anymask.segment.masks import Masks

SHARED = Path(__file__).parents[3] / "shared" / "data"
POLYGONS = [[2, 3, 20.5, 3, 20.5, 15, 2, 15], [25, 20, 35, 20, 30, 28]]
HEIGHT, WIDTH = 30, 40


def ring() -> np.ndarray[Any, Any]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:20, 5:30] = True
    mask[8:12, 10:20] = False
    return mask


def square() -> np.ndarray[Any, Any]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:, 30:] = mask[1:5, 1:4] = True
    return mask


def write(
    images: Iterable[AnnotatedImage], path: Path, layout: Coco | None = None, with_pictures: bool = False
) -> Losses:
    losses = Losses()
    with (layout or Coco()).open_writer(path, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def write_json(folder: Path, content: Any, name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def content(segmentation: Any = POLYGONS, **extra: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": 1, "image_id": 7, "segmentation": segmentation, "category_id": 3, **extra}],
        "categories": [{"id": 3, "name": "cup"}],
    }


def read_one(folder: Path, what: Any) -> AnnotatedImage:
    (image,) = Coco().read(write_json(folder, what))
    return image


@pytest.mark.parametrize("layout", [Coco(), CocoPolygons()], ids=lambda layout: layout.name)
@settings(max_examples=40, deadline=None)
@given(images=random_images())
def test_everything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, layout: Coco, images: list[AnnotatedImage]
) -> None:
    path = tmp_path_factory.mktemp("coco") / "set.json"
    losses = write(images, path, layout)
    assert list(layout.read(path)) == images
    assert list(path.parent.iterdir()) == [path]
    assert not losses.counts or layout.name == "coco-polygons"
    first = path.read_bytes()
    write(images, path, layout)
    assert path.read_bytes() == first


@settings(max_examples=40, deadline=None)
@given(masks=random_masks())
def test_polygons_are_what_pycocotools_gives_back(tmp_path_factory: pytest.TempPathFactory, masks: Masks) -> None:
    path = tmp_path_factory.mktemp("coco") / "set.json"
    losses = write([AnnotatedImage("a.jpg", masks)], path, CocoPolygons())
    annotations = json.loads(path.read_text())["annotations"]
    compressed = 0
    for index, annotation in enumerate(annotations):
        polygons = masks.polygons(index)
        is_plain = bool(polygons) and not any(polygon.holes for polygon in polygons)
        compressed += not is_plain
        assert isinstance(annotation["segmentation"], list) == is_plain
        assert annotation["iscrowd"] == 0
    assert sum(losses.counts.values()) == compressed
    reference = COCO(path)
    for annotation, mask in zip(reference.loadAnns(reference.getAnnIds()), masks.decode(), strict=True):
        np.testing.assert_array_equal(reference.annToMask(annotation), mask)


def test_an_outline_that_pycocotools_would_not_give_back_becomes_run_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = coco_mask.frPyObjects

    def miscounts(shapes: Any, height: int, width: int) -> Any:
        return (
            original(shapes, height, width)
            if isinstance(shapes, dict)
            else original([[0, 0, 2, 0, 2, 2]], height, width)
        )

    masks = Masks.from_arrays(square())
    monkeypatch.setattr(coco_mask, "frPyObjects", miscounts)
    losses = write([AnnotatedImage("a.jpg", masks)], tmp_path / "set.json", CocoPolygons())
    monkeypatch.undo()
    assert [line.endswith("(1 mask)") for line in losses.lines()] == [True]
    (back,) = Coco().read(tmp_path / "set.json")
    assert back.masks == masks


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    masks = Masks.from_arrays(
        [ring(), square()],
        scores=[0.9, 0.25],
        stability=[0.5, 1],
        points=[(7.5, 9), (33, 25)],
        crops=[(0, 0, 40, 30), (20, 10, 40, 30)],
        labels=["cup", None],
    )
    path = tmp_path / "set.json"
    write([AnnotatedImage("street/a.jpg", masks), AnnotatedImage("b.png", Masks.empty((5, 7)))], path)
    reference = COCO(path)
    assert reference.loadImgs([1, 2]) == [
        {"id": 1, "file_name": "street/a.jpg", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.png", "width": 7, "height": 5},
    ]
    assert [category["name"] for category in reference.loadCats([1, 2])] == ["cup", "object"]
    first, second = reference.loadAnns(reference.getAnnIds(imgIds=[1]))
    assert (first["id"], second["id"], first["category_id"], second["category_id"]) == (1, 2, 1, 2)
    np.testing.assert_array_equal(reference.annToMask(first), ring())
    np.testing.assert_array_equal(reference.annToMask(second), square())
    assert first["bbox"] == coco_mask.toBbox(coco_mask.encode(np.asfortranarray(ring(), np.uint8))).tolist()
    assert first["area"] == ring().sum()
    assert first["score"] == np.float32(0.9)
    assert (second["point_coords"], second["crop_box"], second["stability_score"]) == ([[33, 25]], [20, 10, 20, 20], 1)
    assert "label" not in first


@pytest.mark.parametrize("layout", [Coco(), CocoPolygons()], ids=lambda layout: layout.name)
def test_supervision_reads_what_is_written(tmp_path: Path, layout: Coco) -> None:
    supervision = pytest.importorskip("supervision")
    masks = Masks.from_arrays([square(), ring()], labels=["dog", "cup"])
    picture = tmp_path / "picture.png"
    Image.new("RGB", (WIDTH, HEIGHT)).save(picture)
    path = tmp_path / "set" / "annotations.json"
    write([AnnotatedImage("street/a.png", masks, picture)], path, layout, with_pictures=True)
    dataset = supervision.DetectionDataset.from_coco(str(path.parent / "images"), str(path), force_masks=True)
    assert dataset.classes == ["dog", "cup"]
    ((_, _, detections),) = list(dataset)
    expected = masks.decode()
    if layout.name == "coco-polygons":
        # OpenCV draws the outline too, which lies on the corners of pixels.
        expected[0, 1:5, 4] = expected[0, 5, 1:5] = True
    np.testing.assert_array_equal(detections.mask, expected)
    assert detections.class_id.tolist() == [0, 1]


def test_labels_are_numbered_as_they_come_and_the_unlabelled_category_has_a_name_of_its_own(tmp_path: Path) -> None:
    masks = Masks.from_arrays([ring()] * 5, labels=[None, "object", "dog", "unlabelled object", "dog"])
    path = tmp_path / "set.json"
    write([AnnotatedImage("a.jpg", masks)], path)
    written = json.loads(path.read_text())
    assert [(one["id"], one["name"], one.get("unlabelled", False)) for one in written["categories"]] == [
        (1, "unlabelled unlabelled object", True),
        (2, "object", False),
        (3, "dog", False),
        (4, "unlabelled object", False),
    ]
    (back,) = Coco().read(path)
    assert back.masks.labels == masks.labels


def test_numbers_that_json_does_not_have_are_left_out_and_counted(tmp_path: Path) -> None:
    masks = Masks.from_arrays([ring(), square()], scores=[0.5, np.nan], stability=[1, 0.5])
    losses = write([AnnotatedImage("a.jpg", masks)], tmp_path / "set.json")
    assert losses.lines() == ["scores of an image are left out where one is infinite or no number (2 masks)"]
    (back,) = Coco().read(tmp_path / "set.json")
    assert back.masks == masks.replace(scores=None)


def test_a_name_that_leaves_the_folder_or_comes_twice(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.new("RGB", (2, 2)).save(picture)
    masks = Masks.empty((2, 2))
    path = tmp_path / "set" / "set.json"
    write([AnnotatedImage("../../out.png", masks, picture)], path, with_pictures=True)
    (image,) = Coco().read(path)
    assert (image.name, image.picture) == ("out.png", path.parent / "images" / "out.png")
    with Coco().open_writer(path, Losses()) as writer:
        writer.write(AnnotatedImage("caf\udce9.png", masks))
        with pytest.raises(FormatError, match=r"two images have the name caf"):
            writer.write(AnnotatedImage("caf\udce9.png", masks))
        writer.write(AnnotatedImage("b.png", masks))
    assert [image.name for image in Coco().read(path)] == ["caf\udce9.png", "b.png"]


def test_the_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text("before")
    image = AnnotatedImage("a.jpg", Masks.from_arrays(ring()))

    def interrupted() -> Iterator[AnnotatedImage]:
        yield image
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FormatError, match=r"is a folder, and coco is one file: name a file"):
        Coco().open_writer(tmp_path, Losses())


def test_without_images_the_file_is_still_cocos(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    write([], path)
    assert recognise_format(path) is FORMATS["coco"]
    assert list(Coco().read(path)) == []
    assert COCO(path).dataset["images"] == []


@pytest.mark.parametrize("order", list(itertools.permutations(["images", "annotations", "categories"])))
def test_entries_come_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    images = [
        AnnotatedImage(f"{number}.jpg", Masks.from_arrays(rng.random((4, 9, 8 + number)) < 0.4, labels=list("abab")))
        for number in range(6)
    ]
    write(images, tmp_path / "set.json")
    whole = json.loads((tmp_path / "set.json").read_text())
    by_image: dict[int, list[Any]] = {}
    for annotation in whole["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    # Scattered, but each image's own in their order.
    whole["annotations"] = [one for group in zip(*by_image.values(), strict=True) for one in group]
    random.Random(0).shuffle(whole["images"])
    path = write_json(tmp_path, {key: whole[key] for key in order})
    expected = [images[entry["id"] - 1] for entry in whole["images"]]
    assert list(Coco().read(path)) == expected


def test_run_lengths_and_polygons_agree_with_pycocotools(tmp_path: Path) -> None:
    compressed = coco_mask.encode(np.asfortranarray(ring(), np.uint8))
    counts = np.diff(np.flatnonzero(np.diff(ring().ravel(order="F"), prepend=1, append=2))).tolist()
    uncompressed = {"size": [HEIGHT, WIDTH], "counts": counts}
    assert coco_mask.decode(coco_mask.frPyObjects(uncompressed, HEIGHT, WIDTH)).astype(bool).tolist() == ring().tolist()
    what = content()
    for segmentation in (uncompressed, {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()}):
        what["annotations"].append({"id": 2, "image_id": 7, "category_id": 9, "segmentation": segmentation})
    masks = read_one(tmp_path, what).masks
    reference = COCO(tmp_path / "annotations.json")
    np.testing.assert_array_equal(masks.mask(0), reference.annToMask(reference.anns[1]))
    np.testing.assert_array_equal(masks.decode()[1:], [ring(), ring()])
    assert masks.labels == ["cup", None, None]


@pytest.mark.parametrize(
    "odd",
    [
        [[2, 3, 20, 3, 20, 15], [5, 5], [1, 2, 3, 4]],
        [2, 3, 20, 3, 20, 15],
        [[[2, 3], [20, 3], [20, 15]]],
    ],
    ids=["slivers", "no list around", "corners as lists"],
)
def test_polygons_as_some_tools_write_them(tmp_path: Path, odd: Any) -> None:
    expected = read_one(tmp_path, content([[2, 3, 20, 3, 20, 15]])).masks
    assert expected.areas[0] > 50
    assert read_one(tmp_path, content(odd)).masks == expected


def test_what_holds_no_object_is_left_out_and_said_once(tmp_path: Path) -> None:
    what = content()
    what["images"].append({"id": 8, "file_name": "empty.png", "height": 5, "width": 5})
    for number, extra in enumerate(
        [
            {"segmentation": []},
            {"segmentation": None},
            {"segmentation": [[1, 2, 3, 4]]},
            {"bbox": [1, 2, 3, 4]},
            {"segmentation": POLYGONS, "iscrowd": 1},
            {"segmentation": POLYGONS, "image_id": 99},
        ]
    ):
        what["annotations"].append({"id": number + 2, "image_id": 7, "category_id": 3, **extra})
    path = write_json(tmp_path, what)
    with pytest.warns(FormatWarning) as caught:
        images = list(Coco().read(path))
    assert [(image.name, len(image.masks)) for image in images] == [("a.png", 1), ("empty.png", 0)]
    assert [str(warning.message).removeprefix(f"{path}: ") for warning in caught] == [
        "4 annotations are left out: annotations without a segmentation, such as boxes alone, hold no mask",
        "1 annotation is left out: crowds (iscrowd 1) are regions, not objects",
        "1 annotation is left out: the file lists no image with their image_id (such as 99)",
    ]


def test_labels_without_an_entry(tmp_path: Path) -> None:
    what = content(category_id=5)
    assert read_one(tmp_path, what).masks.labels is None
    what["annotations"].append({"id": 2, "image_id": 7, "segmentation": POLYGONS, "label": "dog"})
    assert read_one(tmp_path, what).masks.labels == [None, "dog"]


def test_ids_are_compared_as_numbers_and_strings_are(tmp_path: Path) -> None:
    what = content(image_id=7.0, category_id=3.0)
    assert read_one(tmp_path, what).masks.labels == ["cup"]
    what["images"][0]["id"] = what["annotations"][0]["image_id"] = 2**70
    assert len(read_one(tmp_path, what).masks) == 1
    what["images"] += [{**what["images"][0], "id": "7", "file_name": "b.png"}] * 2
    what["annotations"].append({**what["annotations"][0], "image_id": "7"})
    path = write_json(tmp_path, what)
    assert [(image.name, len(image.masks)) for image in Coco().read(path)] == [("a.png", 1), ("b.png", 1)]


def test_sizes_come_from_run_lengths_or_the_picture_if_they_are_missing(tmp_path: Path) -> None:
    what = content({"size": [30, 40], "counts": [1200]})
    what["images"][0] = {"id": 7, "file_name": "a.png", "width": float("nan"), "height": None}
    assert read_one(tmp_path, what).masks.size == (30, 40)
    what["annotations"][0]["segmentation"] = POLYGONS
    with pytest.raises(DatasetError, match=r"image a\.png has no width and height, and its picture, .* was not found"):
        read_one(tmp_path, what)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="has no width and height, and its picture does not tell them"):
        read_one(tmp_path, what)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "a.png", exif=turned)
    assert read_one(tmp_path, what).masks.size == (HEIGHT, WIDTH)
    what["images"][0].update(width="40", height=30.0)
    assert read_one(tmp_path, what).masks.size == (30, 40)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"file_name": r"street\a.png"}, "street/a.png"),
        ({"file_name": r"C:\data\a.png"}, "a.png"),
        ({"file_name": "/data/a.png"}, "a.png"),
        ({"file_name": "../../a.png"}, "a.png"),
        ({"coco_url": "http://images.cocodataset.org/val2017/a.png"}, "val2017/a.png"),
    ],
)
def test_names_of_pictures(tmp_path: Path, given: dict[str, str], name: str) -> None:
    what = content()
    what["images"][0] = {"id": 7, "width": 40, "height": 30, **given}
    assert read_one(tmp_path, what).name == name


@pytest.mark.parametrize(
    ("file", "picture"),
    [
        ("annotations.json", "images/a.png"),
        ("annotations.json", "a.png"),
        ("_annotations.coco.json", "a.png"),
        ("annotations/instances_val2017.json", "val2017/a.png"),
        ("annotations/instances_val2017.json", "images/val2017/a.png"),
        ("annotations/instances_default.json", "images/a.png"),
    ],
)
def test_places_of_pictures(tmp_path: Path, file: str, picture: str) -> None:
    for path in (tmp_path / file, tmp_path / picture):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    write_json(tmp_path, content(), file)
    for source in (tmp_path / file, tmp_path):
        assert recognise_format(source) is FORMATS["coco"]
        (image,) = Coco().read(source)
        assert image.picture == tmp_path / picture
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").touch()
    (image,) = Coco().read(tmp_path / file, elsewhere)
    assert image.picture == elsewhere / "a.png"


def test_a_folder_of_several_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no COCO file"):
        list(Coco().read(tmp_path))
    for name in ("instances_train.json", "instances_val.json"):
        write_json(tmp_path, content(), name)
    with pytest.raises(DatasetError, match=r"several COCO files: instances_train\.json, instances_val\.json; give the"):
        list(Coco().read(tmp_path))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (3, "it holds no JSON object"),
        ([], "is a list, not an object with images"),
        ([{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 1}], "is a list of COCO results, .* put its"),
        ({"images": []}, "needs the keys images and annotations"),
        ({"images": {}, "annotations": []}, "its images are not a list"),
        (
            content(None),
            r"holds no masks: none of its 1 annotations .* given as prompts \(anymask segment --prompts FILE",
        ),
        (content("square"), r"image a\.png: annotation 1: a segmentation is a list of polygons or a dict"),
        (content({"size": [30, 41], "counts": [1230]}), r"annotation 1: the RLE has the size \[30, 41\]"),
        (content({"size": [30, 40], "counts": "PPPPP_"}), "annotation 1: .* not COCO's compressed run lengths"),
        (content([[0, 0, 1e9, 0, 5, 5]]), "annotation 1: .* must be finite and within"),
        (content(score="high"), r"image a\.png: one of its annotations is not COCO's: could not convert"),
        (content(crop_box=[1]), "image a.png: one of its annotations is not COCO's"),
        ({"images": [3], "annotations": []}, "entry 0 of its images is not an object with an id"),
        ({"images": [{"id": [1]}], "annotations": []}, r"entry 0 of its images has the id \[1\]; it must be a number"),
        ({"images": [{"id": 1}], "annotations": []}, "the image with the id 1 has no file_name"),
        ({"images": [{"id": 1, "file_name": ".."}], "annotations": []}, r"the image with the id 1: '\.\.' is not the"),
        ({"images": [], "annotations": [{}]}, "entry 0 of its annotations is not an object with an image_id"),
        ({"images": [], "annotations": [], "categories": [{}]}, "entry 0 of its categories is not an object with an"),
        (
            {"images": [{"id": 1, "file_name": name} for name in "ab"], "annotations": []},
            "two images have the id 1: a and b",
        ),
        (
            {"images": [], "annotations": [], "categories": [{"id": 1, "name": name} for name in "ab"]},
            "two categories have the id 1: a and b",
        ),
        (
            {"images": [{"id": 1, "file_name": "a", "width": 1.5, "height": 3}], "annotations": []},
            "image a has a width or height that is no whole number of pixels: 1.5",
        ),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, what: Any, message: str) -> None:
    path = write_json(tmp_path, what)
    with pytest.raises(DatasetError, match=message) as caught:
        list(Coco().read(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_anywhere_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    write([AnnotatedImage("é.jpg", Masks.from_arrays(square(), scores=[0.5], labels=["cup"]))], path)
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r"set\.json is not (valid JSON: .*line|a COCO instances file)"):
            list(Coco().read(path))


def test_only_cocos_files_are_recognised(tmp_path: Path) -> None:
    for number, (what, expected) in enumerate(
        [
            (content(), True),
            ([{"image_id": 1, "segmentation": {}, "score": 0.5}], True),
            ({"images": [], "annotations": []}, True),
            ({"info": {"licenses": [1]}, "annotations": [{"image_id": 1}]}, True),
            ({"image": {}, "annotations": [{"id": 1}]}, False),
            ({"image": {}, "annotations": []}, False),
            ({"shapes": [], "imageData": "x" * 2_000_000}, False),
            ([{"data": {}, "annotations": []}], False),
            ({"images": ["a.jpg"], "annotations": []}, False),
            ("images", False),
        ]
    ):
        assert Coco().recognises(write_json(tmp_path, what, f"{number}.json")) is expected, what
    (tmp_path / "broken.json").write_text("{")
    assert not Coco().recognises(tmp_path / "broken.json")
    assert not Coco().recognises(tmp_path / "missing.json")
    (tmp_path / "huge.json").write_text(json.dumps(content()) + " " * 10 + "[" * 3_000_000)
    assert Coco().recognises(tmp_path / "huge.json")


@pytest.mark.parametrize("name", ["coco", "tiles"])
def test_photographs_are_read_as_the_data_set_reads_them(name: str) -> None:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"there are no photographs at {folder}")
    dataset = CocoDataset(folder)
    images = [image for image in Coco().read(folder) if len(image.masks)]
    assert [image.name for image in images] == [dataset.name(index) for index in range(len(dataset))]
    for index, image in enumerate(images):
        assert image.masks.rles == dataset.masks(index)
        assert image.masks.labels == dataset.categories(index)
        assert image.picture == dataset.folder / image.name


MANY = """
import resource, sys
from pathlib import Path
import numpy as np
from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.registry import FORMATS
from anymask.segment.masks import Masks

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

name, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
layout = FORMATS[name]
arrays = np.random.default_rng(0).random((100, 12, 16)) < 0.3
masks = Masks.from_arrays(arrays, scores=np.linspace(0, 1, 100), labels=["a", "b"] * 50)
if name == "parquet":
    import pyarrow.parquet
start = peak()
with layout.open_writer(path, Losses()) as writer:
    for number in range(count // 100):
        writer.write(AnnotatedImage(f"folder-{number % 9}/{number}.jpg", masks))
written = peak()
found = sum(len(image.masks) for image in layout.read(path))
assert found == count, found
print(start, written, peak())
"""


def memory_of(name: str, path: Path, count: int) -> list[int]:
    """Write and read back so many small masks in another process: megabytes at the start, written, and read."""
    done = subprocess.run(
        [sys.executable, "-c", MANY, name, str(path), str(count)], check=True, capture_output=True, text=True
    )
    return [int(value) for value in done.stdout.split()]


def copied(masks: Masks, count: int) -> Iterator[AnnotatedImage]:
    """Images whose masks share no memory, and have so many masks in all."""
    for number in range(count // len(masks)):
        rles = [{"size": one["size"], "counts": bytes(bytearray(one["counts"]))} for one in masks.rles]
        yield AnnotatedImage(f"folder-{number % 9}/{number}.jpg", Masks(rles, masks.size, scores=np.ones(len(rles))))


def test_memory_does_not_grow_with_the_masks(tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.random.default_rng(0).random((50, 12, 16)) < 0.3)
    peaks = []
    for count in (2_000, 8_000):
        tracemalloc.start()
        try:
            write(copied(masks, count), tmp_path / "set.json")
            assert sum(len(image.masks) for image in Coco().read(tmp_path / "set.json")) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert (tmp_path / "set.json").stat().st_size > 1_700_000
    # The text of 6,000 masks more is 1.3 MB, and many times that as objects.
    assert peaks[1] < peaks[0] + 600_000, peaks


@pytest.mark.long
@pytest.mark.parametrize("name", ["coco", "parquet"])
def test_a_million_masks(tmp_path: Path, name: str) -> None:
    start, written, read = memory_of(name, tmp_path / "million", 1_000_000)
    # Whatever keeps them, a million masks take several hundred megabytes.
    assert max(written, read) - start < 150
