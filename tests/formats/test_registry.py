"""Which format is meant by a name, an ending, or what is there."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_set import reduced, small_set

from anymask.formats import registry
from anymask.formats.annotated import Feature, FormatError, Losses
from anymask.formats.format import FolderFormat
from anymask.formats.instances import DatasetError
from anymask.formats.registry import FORMATS, find_format, format_for_writing, recognise_format

SAME_FILES = [{"coco", "coco-polygons"}]
"""Formats that are read alike, so that either may be recognised."""


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_it_is(name: str) -> None:
    one = FORMATS[name]
    assert one.name == name == name.lower()
    assert one.title
    assert len(one.title) < 90
    assert one.__doc__
    assert one.carries <= set(Feature)
    assert one.is_folder == isinstance(one, FolderFormat) or not one.file_suffix
    if not one.is_folder:
        assert one.file_suffix is not None
    assert set(one.suffixes) <= {one.file_suffix}


def test_an_ending_means_one_format() -> None:
    endings = [ending for one in FORMATS.values() for ending in one.suffixes]
    assert len(set(endings)) == len(endings)


@pytest.mark.parametrize("given", ["sa1b", "SA1B", "sa-1b", "SA_1b"])
def test_a_name_may_be_written_in_several_ways(given: str) -> None:
    assert find_format(given) is FORMATS["sa1b"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("yolo-seg", "did you mean yolo"),
        ("coco_polygon", "coco-polygons"),
        ("png", "There are coco"),
        ("", "There are"),
    ],
)
def test_a_wrong_name_is_answered_by_the_right_ones(given: str, meant: str) -> None:
    with pytest.raises(FormatError, match=f"unknown format '{given}'.*{meant}"):
        find_format(given)


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("a.parquet", None, "parquet"),
        ("A.PARQUET", None, "parquet"),
        ("a.json", "coco", "coco"),
        ("folder", "sa1b", "sa1b"),
        ("folder.v2", "sa1b", "sa1b"),
        ("there.json", "sa1b", "sa1b"),
    ],
)
def test_what_is_written_where(tmp_path: Path, path: str, name: str | None, expected: str) -> None:
    (tmp_path / "there.json").mkdir()
    assert format_for_writing(tmp_path / path, name).name == expected


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("a.json", None, r"a\.json may be in several formats: name one of coco, coco-polygons, .*sa1b"),
        ("out", None, r"out does not say its format \(.*\.parquet.* would\): name one of coco"),
        ("a.xyz", None, r"a\.xyz does not say its format"),
        ("a.json", "nonsense", "unknown format 'nonsense'"),
        ("folder", "coco", r"folder is a folder, and coco is one file: name a file, such as .*masks\.json"),
        ("file.json", "sa1b", r"file\.json is a file, and sa1b is a folder: name a folder"),
        ("new.json", "sa1b", r"new\.json looks like a file, and sa1b is a folder"),
        ("new.png", "sa1b", r"new\.png looks like a file"),
        ("folder.parquet", None, r"folder\.parquet is a folder, and parquet is one file"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, path: str, name: str | None, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file.json").touch()
    with pytest.raises(FormatError, match=message):
        format_for_writing(tmp_path / path, name)


@pytest.mark.parametrize("with_pictures", [True, False], ids=["pictures", "no pictures"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognised_and_no_other(tmp_path: Path, name: str, with_pictures: bool) -> None:
    one = FORMATS[name]
    images = reduced(small_set(tmp_path / "pictures", name == "geojson-map"), one.carries)
    target = tmp_path / "set" / ("" if one.is_folder else f"masks{one.file_suffix}")
    with one.open_writer(target, Losses(), with_pictures) as writer:
        for image in images:
            writer.write(image)
    alike = next((names for names in SAME_FILES if name in names), {name})
    assert recognise_format(target).name in alike


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is nothing at .*nowhere: no such file or folder"):
        recognise_format(tmp_path / "nowhere")
    unlike = tmp_path / "unlike"
    unlike.mkdir()
    (unlike / "empty.json").touch()
    (unlike / "broken.json").write_text('{"images": [{"id": 1,')
    (unlike / "list.json").write_text("[1, [], {}]")
    (unlike / "object.json").write_text('{"image": 3, "shapes": null, "type": 4}')
    (unlike / "deep.json").write_text("[" * 50_000)
    (unlike / "bytes.json").write_bytes(bytes(range(256)))
    for ending in ("parquet", "geojson", "csv", "txt", "xml", "yaml"):
        (unlike / f"bytes.{ending}").write_bytes(bytes(range(256)))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(unlike / "picture.png")
    (unlike / "not a picture.png").write_bytes(b"no")
    for path in (tmp_path, unlike, *unlike.iterdir()):
        with pytest.raises(DatasetError, match="is in no format that anymask recognises: name one of"):
            recognise_format(path)


def test_a_file_of_a_folder_is_pointed_at(tmp_path: Path) -> None:
    content = {"images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 3}], "annotations": []}
    (tmp_path / "mine.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"mine\.json seems to be in the format coco: give it instead of its folder"):
        recognise_format(tmp_path)


def test_the_look_at_a_large_file_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No format reads more than its beginning to tell whether it is one of its files."""
    path = tmp_path / "large.json"
    path.write_text('{"images": [' + ",".join(['{"id": 1}'] * 1_000_000) + "]}")
    read: list[int] = []
    monkeypatch.setattr(Path, "read_bytes", lambda _: read.append(1) or b"{}")
    assert registry.recognise_format(path).name == "coco"
    assert not read
