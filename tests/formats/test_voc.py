"""Pascal VOC's folders: what PIL and other tools see in them, and what they write."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import supervision
from hypothesis import given, settings
from noisy_masks import apart, label_maps
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, FormatError, Losses
from anymask.formats.instances import DatasetError
from anymask.formats.voc import Voc
from anymask.formats.voc_classes import palette, read_classes
from anymask.segment.masks import Masks

HEIGHT, WIDTH = 30, 40
VOC_COLOURS = {
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192),
}
"""As the development kit of the challenge prints them."""  # fmt: skip


def squares() -> NDArray[np.bool_]:
    masks = np.zeros((3, HEIGHT, WIDTH), bool)
    masks[0, 2:20, 3:20] = True
    masks[1, 10:14, 10:16] = True
    masks[2, 22:30, 30:40] = True
    return masks


def numbers() -> NDArray[np.uint8]:
    """Objects 1, 2 and 4 with a border of void around the second."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[2:20, 3:20] = 1
    values[9:15, 9:17] = 255
    values[10:14, 10:16] = 2
    values[22:30, 30:40] = 4
    return values


def save(path: Path, values: NDArray[np.uint8], coloured: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if coloured:
        picture.putpalette([channel for colour in palette() for channel in colour])
    picture.save(path)


def xml(path: Path, names: list[str], filename: str = "a.jpg") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    objects = "".join(f"<object>\n <name>\n{name} </name></object>" for name in names)
    path.write_text(f"<annotation><filename>{filename}</filename>{objects}</annotation>")


def write(folder: Path, images: list[AnnotatedImage], with_pictures: bool = False) -> Losses:
    losses = Losses()
    with Voc().open_writer(folder, losses, with_pictures) as writer:
        for image in images:
            writer.write(image)
    return losses


def read(folder: Path, pictures: Path | None = None) -> dict[str, Masks]:
    return {image.name: image.masks for image in Voc().read(folder, pictures)}


def test_the_palette_is_voc_s() -> None:
    colours = palette()
    assert len(set(colours)) == 256
    assert {number: colours[number] for number in VOC_COLOURS} == VOC_COLOURS


def test_what_pillow_and_supervision_see(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(pictures / "a.jpg")
    masks = Masks.from_arrays(squares(), labels=["tvmonitor", "cup", "cup"])
    losses = write(tmp_path / "set", [AnnotatedImage("a.jpg", masks, pictures / "a.jpg")], with_pictures=True)
    assert losses.lines() == ["masks give the pixels they share to the smaller one (1 mask)"]

    first = squares()[0] & ~squares()[1]
    expected = first * 1 + squares()[1] * 2 + squares()[2] * 3
    for folder, wanted in (
        ("SegmentationObject", expected),
        ("SegmentationClass", np.array([0, 20, 21, 21])[expected]),
    ):
        with Image.open(tmp_path / "set" / folder / "a.png") as picture:
            assert picture.mode == "P"
            np.testing.assert_array_equal(np.asarray(picture), wanted)
            assert picture.convert("RGB").getpixel((4, 4)) == ((128, 0, 0) if wanted is expected else (0, 64, 128))
    assert (tmp_path / "set/ImageSets/Segmentation/trainval.txt").read_text() == "a\n"
    labelmap = (tmp_path / "set/labelmap.txt").read_text().splitlines()
    assert labelmap[:3] == ["# label:color_rgb:parts:actions", "background:0,0,0::", "aeroplane:128,0,0::"]
    assert labelmap[-2:] == ["tvmonitor:0,64,128::", "cup:128,64,128::"]

    dataset = supervision.DetectionDataset.from_pascal_voc(
        str(tmp_path / "set/JPEGImages"), str(tmp_path / "set/Annotations")
    )
    ((_, _, found),) = list(dataset)
    assert [dataset.classes[number] for number in found.class_id] == ["tvmonitor", "cup", "cup"]
    np.testing.assert_array_equal(found.xyxy, [[3, 2, 20, 20], [10, 10, 16, 14], [30, 22, 40, 30]])
    size = ElementTree.parse(tmp_path / "set/Annotations/a.xml").getroot().find("size")
    assert size is not None
    assert [one.text for one in size] == [str(WIDTH), str(HEIGHT), "3"]


@settings(max_examples=40, deadline=None)
@given(label_maps())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.int64]) -> None:
    folder = tmp_path_factory.mktemp("voc")
    arrays = apart(values)
    labels = ["person", None, "a:b", "object", "<&>"][: len(arrays)]
    masks = Masks.from_arrays(arrays, labels=labels) if len(arrays) else Masks.empty(values.shape)
    losses = write(folder, [AnnotatedImage("deep/ä.png", masks)])
    assert not losses.counts
    assert read(folder) == {"deep/ä.png": masks.replace(labels=labels if any(labels) else None)}


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    arrays = np.concatenate([squares(), squares()[1:2], squares()[:1] & False])
    labels = ["a\x00b\nc", "cup", " ", "cup", "dog"]
    masks = Masks.from_arrays(arrays, scores=np.ones(5), labels=labels)
    losses = write(tmp_path, [AnnotatedImage("a.jpg", masks)])
    assert losses.lines() == [
        "scores are not written (5 masks)",
        "masks without a pixel are left out (1 mask)",
        "masks that smaller ones cover wholly are left out (1 mask)",
        "masks give the pixels they share to the smaller one (1 mask)",
        "characters of labels that XML cannot hold become spaces (2 masks)",
    ]
    assert read(tmp_path)["a.jpg"].labels == ["a b c", "object", "cup"]


def test_the_largest_254_stay(tmp_path: Path) -> None:
    values = np.zeros((40, 40), np.int64)
    values[:2].flat[:60] = 300
    for number in range(280):
        values[2 + number // 16 * 2, number % 16 * 2 : number % 16 * 2 + 1 + (number > 40)] = 1 + number
    masks = Masks.from_arrays(apart(values), labels=[f"class {number}" for number in range(281)])
    losses = write(tmp_path, [AnnotatedImage("a.jpg", masks)])
    assert losses.lines() == [
        "of more than 254 masks the largest are kept (27 masks)",
        "of more than 254 classes, the others are named in Annotations/ only (20 masks)",
    ]
    # 41 single pixels come first, of which the first 14 are as large as the others and stay.
    assert read(tmp_path)["a.jpg"] == masks[np.r_[0:14, 41:281]]


def test_a_folder_is_gone_on_with(tmp_path: Path) -> None:
    one, other = squares()[:1], squares()[2:]
    write(tmp_path, [AnnotatedImage("a.jpg", Masks.from_arrays(one, labels=["cup"]))])
    write(tmp_path, [AnnotatedImage("b.jpg", Masks.from_arrays(other, labels=["dish"]))])
    write(tmp_path, [AnnotatedImage("a.jpg", Masks.from_arrays(other, labels=["cup"]))])
    assert {name: masks.labels for name, masks in read(tmp_path).items()} == {"a.jpg": ["cup"], "b.jpg": ["dish"]}
    assert read_classes(tmp_path).names[-3:] == ["tvmonitor", "cup", "dish"]
    assert (tmp_path / "ImageSets/Segmentation/trainval.txt").read_text() == "a\nb\n"
    with pytest.raises(FormatError, match="is a file, and voc is a folder"):
        write(tmp_path / "labelmap.txt", [])


@pytest.mark.parametrize("folder", [".", "VOC2012", "VOCdevkit/VOC2012"])
def test_voc_itself(tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    save(root / "SegmentationObject/a.png", numbers())
    classes = np.where(numbers() == 255, np.uint8(255), np.array([0, 15, 12, 0, 12], np.uint8)[numbers() % 5])
    save(root / "SegmentationClass/a.png", classes)
    xml(root / "Annotations/a.xml", ["person", "dog", "cat", "dog"])
    (root / "JPEGImages").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "JPEGImages/a.jpg")
    assert Voc().recognises(tmp_path)
    (image,) = Voc().read(tmp_path)
    assert (image.name, image.picture) == ("a.jpg", root / "JPEGImages/a.jpg")
    assert image.masks.labels == ["person", "dog", "dog"]
    np.testing.assert_array_equal(image.masks.decode(), [numbers() == 1, numbers() == 2, numbers() == 4])


def test_names_come_from_the_xml_where_classes_have_none(tmp_path: Path) -> None:
    save(tmp_path / "SegmentationObject/a.png", numbers())
    assert read(tmp_path)["a.jpg"].labels is None
    xml(tmp_path / "Annotations/a.xml", ["cup", "dish", "dish"], filename="other.jpg")
    assert read(tmp_path)["a.jpg"].labels == ["cup", "dish", None]
    save(tmp_path / "SegmentationClass/a.png", numbers() * 0 + np.uint8(200))
    assert read(tmp_path)["a.jpg"].labels == ["cup", "dish", None]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\ncup:1,2,3::\nbackground:0,128,0::\ndish:9,9,9:a,b:\n",
         ["cup", "dish"]),
        ("class_names.txt", "_background_\ncup\ndish\n", ["cup", "dish"]),
        ("labels.txt", "__ignore__\n_background_\ncup\ndish\n", ["cup", "dish"]),
        ("labels.txt", "cup\ndish", ["cup", "dish"]),
    ],
)  # fmt: skip
def test_own_classes(tmp_path: Path, name: str, content: str, expected: list[str]) -> None:
    (tmp_path / name).write_text(content)
    save(tmp_path / "SegmentationObject/a.png", numbers())
    classes = np.array([0, 1, 2, 0, 2], np.uint8)[numbers() % 5]
    save(tmp_path / "SegmentationClass/a.png", classes, coloured=False)
    assert read(tmp_path)["a.jpg"].labels == [expected[0], expected[1], expected[1]]


def test_a_folder_with_own_colours_is_gone_on_with(tmp_path: Path) -> None:
    tmp_path.joinpath("labelmap.txt").write_text("background:0,0,0::\ncup:250,0,0::\ndish:128,0,0::\n")
    masks = Masks.from_arrays(squares()[[0, 2]], labels=["cup", "dish"])
    more = Masks.from_arrays(squares()[1:], labels=["saucer", "cup"])
    write(tmp_path, [AnnotatedImage("a.jpg", masks), AnnotatedImage("b.jpg", more)])
    assert read(tmp_path) == {"a.jpg": masks, "b.jpg": more}
    with Image.open(tmp_path / "SegmentationClass/a.png") as picture:
        assert picture.convert("RGB").getpixel((4, 4)) == (250, 0, 0)
    for file in (tmp_path / "Annotations").iterdir():
        file.unlink()
    assert read(tmp_path)["b.jpg"].labels == ["saucer", "cup"]


def test_colour_pictures(tmp_path: Path) -> None:
    """As CVAT writes them for own labels: objects in VOC's colours or others, classes in the label map's."""
    (tmp_path / "labelmap.txt").write_text("background:0,128,0::\ncup:7,7,7::\ndish:250,0,0::\n")
    objects = np.array([*palette()[:4], (1, 2, 3)], np.uint8)[numbers() % 5]
    classes = np.array([(0, 128, 0), (7, 7, 7), (250, 0, 0), (0, 128, 0), (7, 7, 7)], np.uint8)[numbers() % 5]
    for folder, pixels in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    masks = read(tmp_path)["a.jpg"]
    np.testing.assert_array_equal(masks.decode(), [numbers() == 1, numbers() == 2, numbers() == 4])
    assert masks.labels == ["cup", "dish", "cup"]
    palettes = Image.fromarray(classes).quantize(3)
    palettes.save(tmp_path / "SegmentationClass/a.png")
    assert read(tmp_path)["a.jpg"].labels == ["cup", "dish", "cup"]


def test_wrong_folders_and_files(tmp_path: Path) -> None:
    assert not Voc().recognises(tmp_path)
    (tmp_path / "SegmentationClass").mkdir()
    with pytest.raises(
        DatasetError, match="has no SegmentationObject/; SegmentationClass/ alone does not tell objects apart"
    ):
        read(tmp_path)
    for year in ("VOC2007", "VOC2012"):
        (tmp_path / year / "SegmentationObject").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"holds several VOC folders: .*VOC2007, .*VOC2012; give one of them"):
        read(tmp_path)
    for name in ("a", "b", "c"):
        save(tmp_path / f"SegmentationObject/{name}.png", numbers())
    save(tmp_path / "SegmentationClass/a.png", numbers()[:, :-1])
    xml(tmp_path / "Annotations/b.xml", [" "])
    first, second, third = Voc().read_each(tmp_path)
    assert "has 39 x 30 pixels, and its picture in SegmentationObject/ 40 x 30" in str(first)
    assert str(second).endswith("b.xml: object 1 has no name")
    assert isinstance(third, AnnotatedImage)
    (tmp_path / "Annotations/c.xml").write_text("<annotation>")
    (tmp_path / "SegmentationObject/a.png").write_bytes(b"no picture")
    first, _, third = Voc().read_each(tmp_path)
    assert "cannot read the mask" in str(first)
    assert "c.xml is not valid XML" in str(third)
