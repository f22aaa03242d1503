"""The guide to formats runs as it stands, and its table is what the formats say of themselves."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask import formats
from anymask.cli import app
from anymask.formats.registry import FORMATS, cannot_hold
from anymask.train.synthetic import synthetic_scene

GUIDE = (Path(__file__).parents[1] / "docs" / "formats.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]
PYTHON = [block for language, block in BLOCKS if language == "python"]


@pytest.fixture
def folder(tiny_coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``annotations.json`` and ``photos``."""
    shutil.copy(tiny_coco / "annotations.json", tmp_path)
    shutil.copytree(tiny_coco / "images", tmp_path / "photos")
    Image.fromarray(synthetic_scene(5, 160, 240).image).save(tmp_path / "photos/truck.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands(folder: Path) -> None:
    assert [command.split()[1] for command in COMMANDS] == ["formats", "convert", "view", "evaluate"]
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "anymask"
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    with Image.open(folder / "sheet.jpg") as sheet:
        assert min(sheet.size) > 320
    names = [image.name for image in formats.read("annotations.json")]
    assert [image.name for image in formats.read("labelme")] == names
    assert all((folder / "labelme" / name).is_file() for name in names)


@pytest.mark.filterwarnings("ignore::anymask.formats.FormatWarning")
def test_the_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, object] = {}
    exec(compile(PYTHON[0], "formats.md", "exec"), scope)
    assert capsys.readouterr().out.count("scene-") == 12
    masks = scope["masks"]
    for name in ("masks.parquet", "yolo"):
        assert len(list(formats.read(folder / name))) == 6
    (coco,), (layers,), (single,) = (list(formats.read(name)) for name in ("truck.json", "truck.png", "one-bit"))
    assert coco.masks == masks
    assert layers.masks.size == single.masks.size == coco.masks.size
    np.testing.assert_array_equal(single.masks.decode(), coco.masks.decode())


def test_the_table() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?) \| (.*?) \|$", GUIDE, re.MULTILINE)
    assert rows == [(name, one.title, ", ".join(cannot_hold(one)) or "-") for name, one in FORMATS.items()]
