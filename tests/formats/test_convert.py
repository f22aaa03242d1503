"""Conversions: what is refused, what goes on after a failure, and what is left behind."""

import json
import shutil
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_set import check_same, reduced, small_set

from anymask import formats
from anymask.formats import FORMATS, AnnotatedImage, DatasetError, FormatError, FormatWarning, convert
from anymask.formats.annotated import Losses
from anymask.segment.masks import Masks


@pytest.fixture
def sa1b(tmp_path: Path) -> Path:
    """Three images of one mask each, with their pictures."""
    images = small_set(tmp_path / "pictures")[:3]
    kept = [AnnotatedImage(image.name, image.masks[:1], image.picture) for image in images]
    return formats.write(tmp_path / "sa1b", kept, "sa1b", with_pictures=True)


def test_what_is_said_of_a_conversion(sa1b: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    done = convert(sa1b, tmp_path / "set.parquet", progress=seen.append)
    assert (done.source_format, done.target_format) == ("sa1b", "parquet")
    assert (done.images, done.masks, done.losses, done.failures) == (3, 3, [], [])
    assert seen == [1, 2, 3]
    check_same(list(formats.read(tmp_path / "set.parquet")), list(formats.read(sa1b)), FORMATS["parquet"].carries)
    done = convert(tmp_path / "set.parquet", tmp_path / "maps", target_format="label-map", pictures=sa1b)
    assert "labels are not written (2 masks)" in done.losses


def test_pictures_are_copied_if_wanted(sa1b: Path, tmp_path: Path) -> None:
    convert(sa1b, tmp_path / "without.json", target_format="coco")
    assert not (tmp_path / "images").exists()
    convert(sa1b, tmp_path / "with/set.json", target_format="coco", with_pictures=True)
    copied = tmp_path / "with/images/street/a.jpg"
    assert copied.read_bytes() == (sa1b / "street/a.jpg").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "with/images", elsewhere)
    convert(
        tmp_path / "with/set.json", tmp_path / "again", target_format="sa1b", with_pictures=True, pictures=elsewhere
    )
    assert (tmp_path / "again/street/a.jpg").is_file()


Places = Callable[[Path], tuple[Path, Path]]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (lambda root: (root / "sa1b", root / "sa1b"), "is what is to be read"),
        (lambda root: (root / "sa1b", root / "other/../sa1b"), "is what is to be read"),
        (lambda root: (root / "sa1b", root / "link"), "is what is to be read"),
        (lambda root: (root / "sa1b", root / "sa1b/deep/out"), "one lies in the other"),
        (lambda root: (root / "sa1b", root), "one lies in the other"),
        (lambda root: (root / "sa1b/street/a.json", root / "sa1b"), "one lies in the other"),
        (
            lambda root: (root / "sa1b", root / "full"),
            "full is not empty: name another folder, or write into it by --o",
        ),
        (lambda root: (root / "nowhere", root / "new"), "there is nothing at .*nowhere"),
    ],
)
def test_places_that_are_refused(sa1b: Path, tmp_path: Path, places: Places, message: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(sa1b)
    before = sorted(tmp_path.rglob("*"))
    source, target = places(tmp_path)
    with pytest.raises((FormatError, DatasetError), match=message):
        convert(source, target, target_format="sa1b", overwrite="one lies" in message or "is what" in message)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_there_is_replaced_only_if_wanted(sa1b: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "set.parquet", tmp_path / "labelme"
    file.write_text("mine")
    folder.mkdir()
    (folder / ".hidden").touch()
    convert(sa1b, folder, target_format="labelme")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FormatError, match=r"set\.parquet exists: name another file, or replace it by --overwrite"):
        convert(sa1b, file)
    with pytest.raises(FormatError, match="labelme is not empty"):
        convert(sa1b, folder, target_format="labelme")
    assert file.read_text() == "mine"
    convert(sa1b, file, overwrite=True)
    assert len(list(formats.read(file))) == 3
    convert(sa1b, folder, target_format="labelme", overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_dry_run_leaves_nothing(sa1b: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = convert(sa1b, tmp_path / "new/maps", target_format="label-map", dry_run=True, with_pictures=True)
    assert (done.images, done.masks) == (3, 3)
    assert done.losses == convert(sa1b, tmp_path / "new/maps", target_format="label-map").losses
    shutil.rmtree(tmp_path / "new")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("target_format", ["coco", "sa1b"])
def test_a_bad_image_is_left_out_and_named(sa1b: Path, tmp_path: Path, target_format: str) -> None:
    (sa1b / "street/a.png.json").write_text('{"image": {}, "annotations": []}')
    (sa1b / "street/zz.json").write_text("{")
    told: list[str] = []
    target = tmp_path / ("set.json" if target_format == "coco" else "set")
    done = convert(sa1b, target, source_format="sa1b", target_format=target_format, failed=told.append)
    assert done.images == 2
    assert done.failures == told
    assert [Path(line.split(" is ")[0]).name for line in told] == ["a.png.json", "zz.json"]
    assert {image.name for image in formats.read(target)} == {"street/a.jpg", "street/deep/b 1.2.jpg"}


def test_a_broken_file_of_all_images_ends_it(sa1b: Path, tmp_path: Path) -> None:
    source = tmp_path / "set.json"
    convert(sa1b, source, target_format="coco")
    content = json.loads(source.read_text())
    content["annotations"][1]["segmentation"]["counts"] = "~"
    source.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"set\.json: image street"):
        convert(source, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_nothing_that_can_be_converted_is_an_error(sa1b: Path, tmp_path: Path) -> None:
    for file in sa1b.rglob("*.json"):
        file.write_text('{"image": {}, "annotations": []}')
    with pytest.raises(FormatError, match=r"no image of .*sa1b could be converted: .*a\.json is not in SA-1B's layout"):
        convert(sa1b, tmp_path / "out.parquet", source_format="sa1b")
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_after_an_image_that_cannot_be_written_others_follow(tmp_path: Path, name: str) -> None:
    """A writer that refuses an image writes nothing of it, and is fit for the next."""
    one = FORMATS[name]
    images = reduced(small_set(tmp_path / "pictures", name == "geojson-map"), one.carries)
    target = tmp_path / "set" / ("" if one.is_folder else f"masks{one.file_suffix}")
    with one.open_writer(target, Losses(), with_pictures=True) as writer:
        for image in images:
            lost = AnnotatedImage(f"lost/{image.name}", image.masks, tmp_path / "no such picture.png")
            with pytest.raises(FormatError):
                writer.write(lost)
            writer.write(image)
            with pytest.raises(FormatError, match="two images"):
                writer.write(image)
    check_same(list(one.read(target)), images, one.carries)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_images_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    written = []
    images = reduced(small_set(tmp_path / "pictures", name == "geojson-map"), FORMATS[name].carries)
    for number in "12":
        target = tmp_path / number / ("set" if FORMATS[name].is_folder else f"set{FORMATS[name].file_suffix}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)
            formats.write(target, images, name, with_pictures=True)
        files = [path for path in target.parent.rglob("*") if path.is_file()]
        written.append({path.relative_to(target.parent): path.read_bytes() for path in files})
        assert not [path for path in files if ".tmp" in path.name]
    assert written[0] == written[1]


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    """What a file says of its image's place decides nothing outside of the target."""
    record = {
        "image": {"width": 4, "height": 3, "file_name": "../../../outside.jpg"},
        "annotations": [{"segmentation": {"size": [3, 4], "counts": "04P2"}}],
    }
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.json").write_text(json.dumps(record))
    masks = Masks.from_arrays(np.ones((1, 3, 4), bool))
    record["annotations"] = masks.to_coco()
    (tmp_path / "in/a.json").write_text(json.dumps(record))
    for name, one in FORMATS.items():
        if name in ("yolo", "geojson-map"):
            continue
        inside = tmp_path / "target" / name
        convert(tmp_path / "in", inside / f"set{'' if one.is_folder else one.file_suffix}", target_format=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "target"]


@pytest.mark.parametrize("name", FORMATS)
def test_images_are_let_go_one_by_one(tmp_path: Path, name: str) -> None:
    """Neither writing nor reading keeps the images that are done with."""
    first = reduced(small_set(tmp_path / "pictures", name == "geojson-map"), FORMATS[name].carries)[0]
    assert isinstance(first.picture, Path)
    alive: list[weakref.ref[AnnotatedImage]] = []
    most = 0

    def watched(image: AnnotatedImage) -> AnnotatedImage:
        nonlocal most
        alive.append(weakref.ref(image))
        most = max(most, sum(one() is not None for one in alive))
        return image

    def images() -> Iterator[AnnotatedImage]:
        for number in range(12):
            yield watched(AnnotatedImage(f"{number:02}{first.picture.suffix}", first.masks, first.picture))

    target = tmp_path / f"set{FORMATS[name].file_suffix if not FORMATS[name].is_folder else ''}"
    formats.write(target, images(), name, with_pictures=True)
    assert most <= 3
    most = 0
    for image in formats.read(target, name):
        watched(image)
    assert 1 <= most <= 3
    assert len(alive) == 24
