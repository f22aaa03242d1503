"""``anymask view``, as it is typed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask import formats
from anymask.cli import app
from anymask.errors import AnymaskError
from anymask.formats import AnnotatedImage
from anymask.formats.records import to_record
from anymask.segment.masks import Masks


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["view", *map(str, arguments)], catch_exceptions=False)


def masks() -> Masks:
    arrays = np.zeros((1, 30, 40), bool)
    arrays[0, 3:12, 4:15] = True
    return Masks.from_arrays(arrays, scores=[0.75])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``photos`` of five colours, and ``set`` of their masks without pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.fromarray(np.full((30, 40, 3), (40 * number, 0, 200), np.uint8)).save(f"photos/{number}.png")
    formats.write("set", (AnnotatedImage(f"{number}.png", masks()) for number in range(5)), "sa1b")
    return tmp_path


def colours(path: object) -> set[tuple[int, ...]]:
    """Which of the photographs are on a sheet that was written without loss."""
    pixels = np.asarray(Image.open(Path(str(path)))).reshape(-1, 3)
    return {(40 * number, 0, 200) for number in range(5) if (pixels == (40 * number, 0, 200)).all(axis=1).sum() > 500}


def test_a_sheet_beside_the_folder_and_its_path(folder: Path) -> None:
    done = run("set", "--pictures", "photos")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [str(folder / "set-sheet.jpg")]
    assert done.stderr == ""
    with Image.open("set-sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
    assert run("set/0.json", "--pictures", "photos").stdout.strip() == str(folder / "set/0-sheet.jpg")


@pytest.mark.usefixtures("folder")
def test_options() -> None:
    assert run("set", "--pictures", "photos", "-o", "all.png", "--size", 64, "--columns", 1).exit_code == 0
    assert colours("all.png") == {(40 * number, 0, 200) for number in range(5)}
    with Image.open("all.png") as tall:
        assert tall.height > 5 * 48 > tall.width
    assert run("set", "--pictures", "photos", "-o", "two.png", "--size", 64, "--limit", 2).exit_code == 0
    assert colours("two.png") == {(0, 0, 200), (40, 0, 200)}
    chosen = set()
    for seed in range(4):
        run("set", "--pictures", "photos", "-o", "random.png", "--size", 64, "--limit", 2, "--random", seed)
        assert len(colours("random.png")) == 2
        chosen.add(frozenset(colours("random.png")))
    assert len(chosen) > 1


@pytest.mark.usefixtures("folder")
def test_what_is_missing_is_said() -> None:
    done = run("set", "-o", "sheet.png")
    assert done.exit_code == 0
    *some, last = done.stderr.splitlines()
    assert some == [f"anymask: {number}.png: its picture is not known" for number in range(3)]
    assert last == "anymask: 5 of 5 images are drawn on grey; --pictures FOLDER says where they are"
    assert not colours("sheet.png")
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save("photos/3.png")
    done = run("set", "-o", "sheet.png", "--pictures", "photos")
    assert done.stderr.splitlines() == [
        "anymask: 3.png: its picture is 4 x 3, its masks 40 x 30",
        "anymask: 1 of 5 images are drawn on grey",
    ]


@pytest.mark.usefixtures("folder")
def test_a_bad_image_is_said_and_the_others_are_drawn() -> None:
    Path("set/1.json").write_text("{")
    done = run("set", "--pictures", "photos", "-o", "sheet.png", "--size", 64)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"anymask: {Path('set/1.json')} is not valid JSON")
    assert len(colours("sheet.png")) == 4


@pytest.mark.usefixtures("folder")
def test_records_of_the_commands_find_their_pictures() -> None:
    Path("out").mkdir()
    Path("out/0.json").write_text(json.dumps(to_record("photos/0.png", masks(), model="pocket")))
    assert run("out", "-o", "sheet.png").stderr == ""
    assert colours("sheet.png") == {(0, 0, 200)}
    both = [to_record(f"photos/{number}.png", masks(), model="pocket") for number in (1, 2)]
    Path("all.json").write_text(json.dumps(both))
    assert run("all.json", "-o", "sheet.png").stderr == ""
    assert colours("sheet.png") == {(40, 0, 200), (80, 0, 200)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is nothing at nowhere"),
        (("photos",), "photos is in no format that anymask recognises"),
        (("set", "-o", "sheet.pdf"), r"sheet\.pdf cannot be written: its name must end in \.png"),
    ],
)
def test_mistakes(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnymaskError, match=message):
        run(*arguments)
    assert run("set", "--size", 5).exit_code == 2
    assert sorted(path.name for path in folder.iterdir()) == ["photos", "set"]
