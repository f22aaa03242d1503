"""YOLO's folders: rings that give masks back exactly, what other tools read in them and write into them."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import supervision
import yaml
from hypothesis import given, settings
from matplotlib.path import Path as Outline
from noisy_masks import noisy_masks
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, FormatError, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.yolo import Yolo
from anymask.formats.yolo_lines import format_line, join_rings, read_lines
from anymask.segment import rle
from anymask.segment.masks import Masks
from anymask.segment.polygons import mask_to_polygons

HEIGHT, WIDTH = 30, 40
SQUARE = "0.25 0.2 0.5 0.2 0.5 0.8 0.25 0.8"


def square() -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[6:24, 10:20] = True
    return mask


def picture(path: Path, height: int = HEIGHT, width: int = WIDTH, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 120, 30)).save(path, exif=exif)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def write(folder: Path, images: list[AnnotatedImage], with_pictures: bool = True) -> Losses:
    losses = Losses()
    with Yolo().open_writer(folder, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def read(folder: Path, pictures: Path | None = None) -> dict[str, Masks]:
    return {image.name: image.masks for image in Yolo().read(folder, pictures)}


def even_odd(ring: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Fill a ring at pixel centres by matplotlib, whose rule is even-odd."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    closed = np.concatenate([ring, ring[:1]])
    return Outline(closed).contains_points(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(height, width)


@settings(max_examples=150, deadline=None)
@given(noisy_masks())
def test_a_ring_is_exactly_its_mask(tmp_path_factory: pytest.TempPathFactory, masks: NDArray[np.bool_]) -> None:
    file = tmp_path_factory.getbasetemp() / "ring.txt"
    for mask in masks:
        polygons = mask_to_polygons(mask)
        if not polygons:
            continue
        ring = join_rings(polygons)
        np.testing.assert_array_equal(even_odd(ring, *mask.shape), mask)
        file.write_text(format_line(3, ring, (mask.shape[0], mask.shape[1])))
        (line,) = read_lines(file, (mask.shape[0], mask.shape[1]))
        assert (line.class_number, line.score) == (3, None)
        np.testing.assert_array_equal(rle.decode(line.rle), mask)


@pytest.mark.parametrize("size", [(1, 1), (7, 9999), (30011, 3), (4000, 6001)])
def test_corners_of_large_images_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    random = np.random.default_rng(width)
    corners = np.stack([random.integers(0, width + 1, 400), random.integers(0, height + 1, 400)], axis=1).astype(float)
    numbers = np.array([float(field) for field in format_line(0, corners, size).split()[1:]]).reshape(-1, 2)
    assert np.abs(numbers * (width, height) - corners).max() < 1e-3
    file = text(tmp_path / "a.txt", format_line(0, np.array([[0, 0], [width, 0], [width, height], [0, height]]), size))
    assert rle.area([read_lines(file, size)[0].rle]).tolist() == [height * width]


def test_very_many_pieces_are_chained() -> None:
    mask = np.random.default_rng(0).random((80, 70)) > 0.5
    polygons = mask_to_polygons(mask)
    ring = join_rings(polygons)
    assert len(polygons) > 300
    assert ((ring == np.roll(ring, 1, axis=0)).sum(axis=1) >= 1).all()
    np.testing.assert_array_equal(even_odd(ring, *mask.shape), mask)


def test_bridges_are_short() -> None:
    mask = np.zeros((60, 60), bool)
    mask[2:50, 2:50] = True
    mask[40:47, 40:47] = False
    mask[55:58, 48:52] = True
    ring = join_rings(mask_to_polygons(mask))
    steps = ring - np.roll(ring, 1, axis=0)
    assert ((steps == 0).sum(axis=1) >= 1).all()
    # The outlines, and there and back from (47, 47) by (47, 50) to (50, 50), and from (47, 50) to (48, 55).
    assert np.abs(steps).sum() == 4 * 48 + 4 * 7 + 2 * (4 + 3) + 2 * 6 + 2 * 6


@settings(max_examples=40, deadline=None)
@given(noisy_masks())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: NDArray[np.bool_]) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    masks = Masks.from_arrays(arrays, labels=["one", None, "two"][: len(arrays)])
    losses = write(folder, [AnnotatedImage("deep/a.png", masks, picture(folder / "x.png", *masks.size))])
    kept = masks.filter(min_area=1)
    assert losses.counts.total() == len(masks) - len(kept)
    found = read(folder)["deep/a.png"]
    expected = kept.replace(labels=kept.labels if any(kept.labels or []) else None)
    assert found == expected


def test_supervision_reads_it(tmp_path: Path) -> None:
    ring = square()
    ring[10:14, 12:16] = False
    masks = Masks.from_arrays(np.stack([square(), ring, np.ones((HEIGHT, WIDTH), bool)]), labels=["cup", "dog", "cup"])
    write(tmp_path, [AnnotatedImage("a.jpg", masks, picture(tmp_path / "x.jpg"))])
    dataset = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml"), force_masks=True
    )
    assert dataset.classes == ["cup", "dog"]
    ((_, _, found),) = list(dataset)
    assert found.class_id.tolist() == [0, 1, 0]
    for drawn, mask in zip(found.mask, masks.decode(), strict=True):
        # It draws corners as pixels, so the outline, and for the hole the bridge, are set too.
        assert (drawn | ~mask).all()
        assert not (drawn & (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) == 0)).any()


def test_names_of_classes_survive_yaml(tmp_path: Path) -> None:
    labels = ["no", "1", "null", 'a "b": c', "# x", " lead", "line\nbreak", "日本 🐕", "object", None, "- y", "x" * 300]
    masks = Masks.from_arrays(np.repeat(square()[None], len(labels), axis=0), labels=labels)
    write(tmp_path, [AnnotatedImage("a.jpg", masks, picture(tmp_path / "x.jpg"))])
    assert read(tmp_path)["a.jpg"].labels == labels
    names = yaml.safe_load((tmp_path / "data.yaml").read_text("utf-8"))["names"]
    assert list(names) == list(range(len(labels)))
    assert [names[number] for number in names] == [label or "object (unlabelled)" for label in labels]


def test_a_folder_is_gone_on_with(tmp_path: Path) -> None:
    image = picture(tmp_path / "x.jpg")
    one = Masks.from_arrays(np.stack([square(), square()]), labels=["dog", None])
    other = Masks.from_arrays(np.stack([square(), square(), square()]), labels=["cat", None, "dog"])
    write(tmp_path / "set", [AnnotatedImage("a.jpg", one, image)])
    write(tmp_path / "set", [AnnotatedImage("b.jpg", other, image)])
    assert read(tmp_path / "set") == {"a.jpg": one, "b.jpg": other}
    for content in ("train: images\nval: images\ntest: others\nnames: [x]", "train: images/train\nnames: [x]"):
        description = text(tmp_path / "own/data.yaml", content)
        with pytest.raises(FormatError, match="describes another data set, which would be lost"):
            write(tmp_path / "own", [])
        assert description.read_text() == content
    with pytest.raises(FormatError, match=r"x\.jpg is a file, and yolo is a folder"):
        write(image, [])


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.stack([square(), square() & False]), scores=[0.5, 0.6], labels=["a", "b"])
    losses = write(tmp_path, [AnnotatedImage("a.jpg", masks, picture(tmp_path / "x.jpg"))])
    assert losses.lines() == ["scores are not written (2 masks)", "masks without a pixel are left out (1 mask)"]
    assert read(tmp_path)["a.jpg"].labels == ["a"]


def test_pictures_that_differ_in_their_endings_keep_their_masks(tmp_path: Path) -> None:
    whole = Masks.from_arrays(np.ones((1, HEIGHT, WIDTH), bool))
    part = Masks.from_arrays(square())
    pictures = tmp_path / "pictures"
    images = [AnnotatedImage("a.jpg", whole, picture(pictures / "a.jpg"))]
    images += [AnnotatedImage("a.png", part, picture(pictures / "a.png"))]
    write(tmp_path / "set", images)
    assert sorted(path.name for path in (tmp_path / "set/labels").iterdir()) == ["a.png.txt", "a.txt"]
    assert read(tmp_path / "set") == {"a.jpg": whole, "a.png": part}
    write(tmp_path / "bare", images, with_pictures=False)
    assert read(tmp_path / "bare", pictures) == {"a.jpg": whole, "a.png": part}


@pytest.mark.parametrize("name", ["images/a.jpg", "site/images/a.jpg", "labels/a.jpg", "deep/er/a b.1.jpg"])
def test_names_with_folders(tmp_path: Path, name: str) -> None:
    image = AnnotatedImage(name, Masks.from_arrays(square()), picture(tmp_path / "pictures" / name))
    for copied in (True, False):
        write(tmp_path / str(copied), [image], copied)
        assert read(tmp_path / str(copied), None if copied else tmp_path / "pictures") == {name: image.masks}


@pytest.mark.parametrize(
    ("description", "files"),
    [
        ("train: images/train\nval: images/val\nnames: [cup, dog]", ["images/train/a.jpg", "images/val/b.jpg"]),
        ("path: /gone/elsewhere\ntrain: train/images\nval: val/images\nnames: {0: cup, 1: dog}",
         ["train/images/a.jpg", "val/images/b.jpg"]),
        ("train: ../train/images\nval: ../valid/images\nnames: ['cup', 'dog']",
         ["train/images/a.jpg", "valid/images/b.jpg"]),
        ("train: [images/x, images/y]\nval: images/x\ntest:\nnames: {'1': dog, '0': cup}",
         ["images/x/a.jpg", "images/y/b.jpg"]),
        ("path: .\ntrain: images\nval: images/v\nnames: [cup, dog]", ["images/a.jpg", "images/v/b.jpg"]),
        ("train: list.txt\nval: list.txt\nnames: [cup, dog]", ["images/a.jpg", "images/b.jpg"]),
    ],
)  # fmt: skip
def test_layouts_of_other_tools(tmp_path: Path, description: str, files: list[str]) -> None:
    text(tmp_path / "data.yaml", description)
    text(tmp_path / "list.txt", "./images/a.jpg\nimages/b.jpg\n\n")
    for number, name in enumerate(files):
        picture(tmp_path / name)
        text(tmp_path / name.replace("images", "labels").replace(".jpg", ".txt"), f"{number} {SQUARE}\n")
    for path in (tmp_path, tmp_path / "data.yaml"):
        assert Yolo().recognises(path)
        images = list(Yolo().read(path))
        assert [image.masks.labels for image in images] == [["cup"], ["dog"]]
        assert [image.picture for image in images] == [tmp_path / name for name in files]
        assert [image.name for image in images] == [name.replace("images/", "", 1) for name in files]
        for image in images:
            np.testing.assert_array_equal(image.masks.mask(0), square())


def test_predictions_without_a_description(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    text(tmp_path / "labels/a.txt", f"7 {SQUARE} 0.25\n0 {SQUARE} 0.75\n")
    for path in (tmp_path, tmp_path / "labels"):
        assert Yolo().recognises(path)
        found = read(path)
        assert found["a.jpg"].labels == ["7", "0"]
        assert found["a.jpg"].scores is not None
        assert found["a.jpg"].scores.tolist() == [0.25, 0.75]
        assert len(found["b.jpg"]) == 0
    text(tmp_path / "labels/a.txt", f"7 {SQUARE} 0.25\n0 {SQUARE}\n")
    assert read(tmp_path)["a.jpg"].scores is None


def test_sizes_are_those_after_rotation(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg", WIDTH, HEIGHT, orientation=6)
    text(tmp_path / "labels/a.txt", f"0 {SQUARE}\n")
    np.testing.assert_array_equal(read(tmp_path)["a.jpg"].mask(0), square())


def test_corners_beside_the_image_are_cut_off(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    text(tmp_path / "labels/a.txt", "0.0 -0.05 -0.01 1.04 -0.01 1.04 0.5 -0.05 0.5\n")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:15] = True
    np.testing.assert_array_equal(read(tmp_path)["a.jpg"].mask(0), expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1 0.2", "line 2: a box, not a mask: .*boxes are prompts"),
        ("0 0.5 0.5 0.1 0.2 0.9", "line 2: a box, not a mask"),
        ("0 0.5 0.5", "line 2: a mask is a class and the x and y of three corners or more"),
        ("0 0.1 0.1 x 0.2 0.3 0.4", "line 2: 'x' is not a number"),
        ("0 0.1 0.1 nan 0.2 0.3 0.4", "line 2: 'nan' is not a number"),
        ("0 10 10 300 10 300 40", "line 2: coordinates are shares of .* from 0 to 1, and this is 10"),
        ("-1 0.1 0.1 0.2 0.2 0.3 0.4", "line 2: a class is a whole number from 0, and this is -1"),
        ("0.5 0.1 0.1 0.2 0.2 0.3 0.4", "line 2: a class is a whole number from 0, and this is 0.5"),
        ("2 0.1 0.1 0.2 0.2 0.3 0.4", "line 2: there is no class 2 among the 2 of the data set"),
    ],
)
def test_wrong_lines(tmp_path: Path, line: str, message: str) -> None:
    text(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cup, dog]\n")
    for name in "abc":
        picture(tmp_path / f"images/{name}.jpg")
        text(tmp_path / f"labels/{name}.txt", f"1 {SQUARE}\n" + (f"{line}\n" if name == "b" else ""))
    with pytest.raises(DatasetError, match=rf"b\.txt, {message}"):
        read(tmp_path)
    found = list(Yolo().read_each(tmp_path))
    assert [isinstance(one, DatasetError) for one in found] == [False, True, False]


def test_missing_pictures(tmp_path: Path) -> None:
    text(tmp_path / "labels/a.txt", f"0 {SQUARE}\n")
    with pytest.raises(DatasetError, match=r"no picture for .*a\.txt \(looked for .*images/a\.jpg and other endings\)"):
        read(tmp_path)
    picture(tmp_path / "images/b.jpg")
    first, second = Yolo().read_each(tmp_path)
    assert isinstance(first, AnnotatedImage)
    assert len(first.masks) == 0
    assert "give the folder of the pictures" in str(second)
    with pytest.raises(DatasetError, match=r"no picture for .*a\.txt \(looked for .*elsewhere/a\.jpg"):
        read(tmp_path, tmp_path / "elsewhere")
    picture(tmp_path / "elsewhere/a.png")
    assert list(read(tmp_path, tmp_path / "elsewhere")) == ["a.png"]
    (tmp_path / "images/b.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"the size of .*b\.jpg is not known"):
        read(tmp_path)
    with pytest.raises(DatasetError, match=r"holds no YOLO data set: neither data\.yaml nor labels/"):
        read(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("names: [a", "data.yaml is not valid YAML"),
        ("- a\n- b", "data.yaml does not describe a YOLO data set"),
        ("names: {x: a}\ntrain: images", "the number of a class is a whole number, not 'x'"),
        ("names: cup\ntrain: images", "names must be a list, or a mapping of numbers to names"),
        ("names: [a]\nkpt_shape: [17, 3]", "describes key points"),
        ("names: !!python/object/apply:os.system ['true']\ntrain: images", "names"),
    ],
)
def test_wrong_descriptions(tmp_path: Path, content: str, message: str) -> None:
    picture(tmp_path / "images/a.jpg")
    text(tmp_path / "data.yaml", content)
    if "!!python" in content:
        # A tag is not obeyed: what follows is a list of names like any other.
        assert list(read(tmp_path)) == ["a.jpg"]
        return
    with pytest.raises(DatasetError, match=message):
        read(tmp_path)


def test_recognising(tmp_path: Path) -> None:
    assert not Yolo().recognises(tmp_path)
    text(tmp_path / "labels/classes.txt", "cup\n")
    assert not Yolo().recognises(tmp_path)
    text(tmp_path / "labels/d.txt", f"1 {SQUARE}")
    assert Yolo().recognises(tmp_path)
    for content in ("jobs: 3", "[1, 2]", "names: ["):
        assert not Yolo().recognises(text(tmp_path / "other.yaml", content))


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.stack([square(), ~square()]), labels=["b", "a"])
    contents: list[dict[str, Any]] = []
    for name in ("1", "2"):
        write(tmp_path / name, [AnnotatedImage("a.jpg", masks)], with_pictures=False)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / name)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == ["data.yaml", "labels/a.txt"]
    assert re.fullmatch(rb"0 0\.25 0\.2 .*\n1 .*\n", contents[0]["labels/a.txt"], re.DOTALL)
