"""Reading, writing, and masks.save, as a user calls them."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_set import check_same, reduced, small_set, write_map, write_picture

import anymask
from anymask import formats
from anymask.formats import FORMATS, AnnotatedImage, DatasetError, Feature, FormatError, FormatWarning
from anymask.segment.masks import Masks


@pytest.fixture
def masks() -> Masks:
    arrays = np.zeros((2, 20, 30), bool)
    arrays[0, 3:12, 4:15] = True
    arrays[1, 14:18, 20:28] = True
    return Masks.from_arrays(arrays, scores=[0.75, 0.5], labels=["cup", "dog"])


def read_one(path: Path, name: str | None = None, pictures: Path | None = None) -> AnnotatedImage:
    (image,) = formats.read(path, name, pictures=pictures)
    return image


@pytest.mark.parametrize("name", FORMATS)
def test_one_image_in_every_format(tmp_path: Path, masks: Masks, name: str) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    if name == "geojson-map":
        picture = write_map(tmp_path / "photos/truck.tif", pixels)
    else:
        picture = write_picture(tmp_path / "photos/truck.png", pixels)
    layout = FORMATS[name]
    target = tmp_path / f"out/truck{layout.file_suffix or ''}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        assert masks.save(target, name, picture=picture) == target
    assert target.is_file() == (layout.file_suffix is not None)
    found = read_one(target, name, picture.parent)
    expected = AnnotatedImage(picture.name, masks)
    if Feature.NAMES not in layout.carries:
        found = AnnotatedImage(expected.name, found.masks)
    check_same([found], reduced([expected], layout.carries), layout.carries)
    check_same([read_one(target, None, picture.parent)], [read_one(target, name, picture.parent)], layout.carries)


def test_where_one_image_goes(tmp_path: Path, masks: Masks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert masks.save("truck.json", format="sa1b") == Path("truck.json")
    assert json.loads(Path("truck.json").read_text())["image"]["file_name"] == "truck.jpg"
    masks.save("cars/truck.json", "coco", name="street/truck.webp")
    assert read_one(Path("cars/truck.json")).name == "street/truck.webp"
    masks.save("set", "sa1b", name="street/truck.webp")
    assert Path("set/street/truck.json").is_file()
    masks.save("set", "sa1b", name="street/car.webp")
    assert [image.name for image in formats.read("set")] == ["street/car.webp", "street/truck.webp"]
    picture = write_picture(Path("photos/bus.png"), np.zeros((20, 30, 3), np.uint8))
    masks.save("bus/bus.json", "sa1b", picture=picture, with_pictures=True)
    assert Path("bus/bus.png").read_bytes() == picture.read_bytes()
    masks.save("set", "sa1b", picture=str(picture), with_pictures=True)
    assert Path("set/bus.png").read_bytes() == picture.read_bytes()
    masks.save("~/bus.json", "sa1b")
    assert Path("~/bus.json").expanduser().is_file()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_every_loss_is_a_warning_of_its_own_at_the_caller(tmp_path: Path, masks: Masks) -> None:
    with pytest.warns(FormatWarning) as found:
        masks.save(tmp_path / "truck.png", "label-map")
    lines = [str(one.message) for one in found]
    assert lines == ["label-map: labels are not written (2 masks)", "label-map: scores are not written (2 masks)"]
    assert {one.filename for one in found} == {__file__}
    with pytest.warns(FormatWarning) as found:
        formats.write(tmp_path / "maps", [AnnotatedImage("a.jpg", masks), AnnotatedImage("b.jpg", masks)], "label-map")
    assert str(found[0].message) == "label-map: labels are not written (4 masks)"
    assert {one.filename for one in found} == {__file__}


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("x.json", {}, r"x\.json may be in several formats: name one of"),
        ("x", {}, "x does not say its format"),
        ("x.json", {"format": "cocoa"}, "unknown format 'cocoa'; did you mean coco"),
        ("x", {"format": "sa1b"}, 'x is to hold the masks of many pictures: say of which .* name="truck.jpg"'),
        ("x.jpg", {"format": "sa1b"}, r"x\.jpg looks like a file, and sa1b is a folder"),
        ("x.json", {"format": "sa1b", "name": ".."}, "is not the name of a picture"),
        (
            "there.png",
            {"format": "label-map", "picture": "there.png"},
            r"there\.png is the picture, which the masks wo",
        ),
        (
            "x.png",
            {"format": "label-map", "name": "x.png", "picture": b"-", "with_pictures": True},
            r"x\.png is the picture, which the masks would replace",
        ),
        ("x", {"format": "sa1b", "picture": "none.png", "with_pictures": True}, r"there is no picture of none\.png"),
        (
            "x.json",
            {"format": "sa1b", "picture": "none.png", "with_pictures": True},
            r"there is no picture of none\.png",
        ),
    ],
)
def test_what_cannot_be_saved(
    tmp_path: Path, masks: Masks, monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = write_picture(tmp_path / "there.png", np.zeros((20, 30, 3), np.uint8)).read_bytes()
    with pytest.raises(FormatError, match=message):
        masks.replace(labels=None, scores=None).save(path, **options)
    assert Path("there.png").read_bytes() == picture
    assert not Path("x.json").exists()


def test_a_data_set_is_written_and_read(tmp_path: Path) -> None:
    images = small_set(tmp_path / "pictures")
    path = formats.write(tmp_path / "set.parquet", images)
    check_same(list(formats.read(path)), images, FORMATS["parquet"].carries)
    found = list(formats.read(str(path), pictures=str(tmp_path / "pictures")))
    assert {image.name: image.picture for image in found} == {image.name: image.picture for image in images}


def test_reading_says_at_once_what_is_wrong(tmp_path: Path, masks: Masks) -> None:
    masks.save(tmp_path / "truck.json", "sa1b")
    with pytest.raises(DatasetError, match="there is nothing at"):
        formats.read(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="unknown format 'sam'"):
        formats.read(tmp_path / "truck.json", "sam")
    with pytest.raises(DatasetError, match=r"there is no folder .*photos with pictures"):
        formats.read(tmp_path / "truck.json", pictures=tmp_path / "photos")
    with pytest.raises(FormatError, match=r"masks\.save\(\) writes one image"):
        formats.write(tmp_path / "x.parquet", masks)  # type: ignore[arg-type]


def test_a_broken_image_stops_reading_or_is_passed_over(tmp_path: Path, masks: Masks) -> None:
    for name in "abc":
        masks.save(tmp_path / "set", "sa1b", name=f"{name}.jpg")
    (tmp_path / "set/b.json").write_text("{")
    read = formats.read(tmp_path / "set", "sa1b")
    assert next(read).name == "a.jpg"
    with pytest.raises(DatasetError, match=r"b\.json is not valid JSON"):
        next(read)
    failures: list[DatasetError] = []
    found = list(formats.read(tmp_path / "set", "sa1b", failed=failures.append))
    assert [image.name for image in found] == ["a.jpg", "c.jpg"]
    assert [str(error).split(" is ")[0] for error in failures] == [str(tmp_path / "set/b.json")]


def test_an_exception_leaves_the_file_that_was_there(tmp_path: Path, masks: Masks) -> None:
    path = formats.write(tmp_path / "set.parquet", [AnnotatedImage("a.jpg", masks)])
    before = path.read_bytes()

    def images():
        yield AnnotatedImage("b.jpg", masks)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        formats.write(path, images())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["set.parquet"]


def test_masks_save_is_there_on_import() -> None:
    assert "save_masks" in formats.__all__
    assert anymask.Masks.save.__doc__
