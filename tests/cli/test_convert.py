"""``anymask convert`` and ``anymask formats``, as they are typed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask import formats
from anymask.cli import app, main
from anymask.formats import FORMATS, AnnotatedImage
from anymask.formats.registry import cannot_hold
from anymask.segment.masks import Masks


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def error_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["anymask", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return str(caught.value.code)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``set``, two images in SA-1B's layout beside their pictures."""
    monkeypatch.chdir(tmp_path)
    arrays = np.zeros((2, 30, 40), bool)
    arrays[0, 3:12, 4:15] = True
    arrays[0, 6:8, 8:10] = False
    arrays[1, 5:25, 20:28] = True
    images = []
    for number, name in enumerate(("street/a.png", "b.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40, 3), 60 * number, np.uint8)).save(tmp_path / "photos" / name)
        masks = Masks.from_arrays(arrays, scores=[0.75, 0.5], labels=["cup", "dog"])
        images.append(AnnotatedImage(name, masks, tmp_path / "photos" / name))
    formats.write("set", images, "sa1b", with_pictures=True)
    return tmp_path


def same(first: object, second: object, **columns: None) -> bool:
    def read(path: object) -> dict[str, Masks]:
        return {image.name: image.masks.replace(**columns) for image in formats.read(Path(str(path)))}

    return read(first) == read(second)


def test_a_round_on_the_command_line(folder: Path) -> None:
    """Each step writes what the next reads, and the last is what the first was."""
    place = "set"
    steps = ["set.parquet", "coco/all.json --to coco", "records --to anymask", "geo --to geojson", "again --to sa1b"]
    for step in steps:
        target, *options = step.split()
        done = run("convert", place, target, *options, "--with-pictures")
        assert done.exit_code == 0, done.stderr
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert lines[-1].startswith("2 images, 4 masks: ")
        assert lines[-1].endswith(f", in {target}")
        assert len(lines) == 1
        place = target
    assert same("set", "again")
    assert (folder / "again/street/a.png").read_bytes() == (folder / "photos/street/a.png").read_bytes()


def test_losses_are_said_once_with_their_number(folder: Path) -> None:
    done = run("convert", "set", "maps", "--to", "label-map", "--with-pictures")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "anymask: label-map: labels are not written (4 masks)",
        "anymask: label-map: scores are not written (4 masks)",
        "2 images, 4 masks: sa1b to label-map, in maps",
    ]
    assert same("set", "maps", scores=None, labels=None)
    planned = run("convert", "set", "other", "--to", "label-map", "--dry-run")
    assert planned.stderr.splitlines() == [
        *done.stderr.splitlines()[:2],
        "2 images, 4 masks: sa1b to label-map, would be written to other",
    ]
    assert not (folder / "other").exists()


def test_a_bad_image_is_said_and_the_exit_code_is_1(folder: Path) -> None:
    (folder / "set/b.json").write_text("{")
    done = run("convert", "set", "all.json", "--to", "coco", "--from", "sa1b")
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"anymask: {Path('set/b.json')} is not valid JSON")
    assert lines[1:] == ["1 image, 2 masks: sa1b to coco, in all.json", "anymask: 1 of 2 images failed"]
    assert [entry["file_name"] for entry in json.loads((folder / "all.json").read_text())["images"]] == ["street/a.png"]


def test_pictures_elsewhere(folder: Path) -> None:
    (folder / "set/b.png").unlink()
    assert run("convert", "set", "without", "--to", "labelme", "--with-pictures").exit_code == 0
    assert not (folder / "without/b.png").exists()
    assert run("convert", "set", "with", "--to", "labelme", "--with-pictures", "--pictures", "photos").exit_code == 0
    assert (folder / "with/b.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "x.parquet"), "anymask: there is nothing at nowhere: no such file or folder"),
        (("set", "x.json"), "anymask: x.json may be in several formats: name one of coco, coco-polygons"),
        (("set", "x", "--to", "coco-json"), "anymask: unknown format 'coco-json'; did you mean "),
        (("photos", "x.parquet"), "anymask: photos is in no format that anymask recognises: name one of"),
        (("set", "set", "--to", "coco"), "anymask: set is a folder, and coco is one file: name a file, such as set"),
        (("set", "set", "--to", "labelme", "--overwrite"), "anymask: set is what is to be read"),
        (("set", "photos", "--to", "labelme"), "anymask: photos is not empty: name another folder"),
        (("set", "x", "--to", "labelme", "--pictures", "foto"), "anymask: there is no folder foto with pictures"),
        (("set", "x.parquet", "--from", "labelme"), "anymask: set holds no JSON of LabelMe"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    error = error_of(monkeypatch, "convert", *arguments)
    assert error.startswith(message)
    assert "\n" not in error
    assert sorted(path.name for path in folder.iterdir() if path.suffix != "") == []


def test_warnings_of_a_file_are_lines_too(folder: Path) -> None:
    """Run as a program, because pytest has warnings of its own."""
    run("convert", "set", "all.json", "--to", "coco")
    content = json.loads((folder / "all.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    (folder / "all.json").write_text(json.dumps(content))
    start = [sys.executable, "-c", "from anymask.cli import main; main()"]
    done = subprocess.run(
        [*start, "convert", "all.json", "set.parquet"], capture_output=True, text=True, check=True, cwd=folder
    )
    first, last = done.stderr.splitlines()
    assert first.startswith("anymask: all.json: 1 annotation is left out: ")
    assert last == "2 images, 3 masks: coco to parquet, in set.parquet"


def test_the_list_of_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = run("formats")
    assert done.exit_code == 0
    lines = {line.split()[0]: line.rstrip() for line in done.stdout.splitlines() if line.split()}
    for name, one in FORMATS.items():
        assert one.title in lines[name]
        assert lines[name].endswith(", ".join(cannot_hold(one)) or "-")
