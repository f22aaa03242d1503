"""The guide to runs over many images runs as it stands, with fewer points."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from anymask.cli import app

GUIDE = (Path(__file__).parents[1] / "docs" / "runs.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]
FEW_POINTS = ["--points-per-side", "4"]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with photos/ of two small pictures, and the guide's file of prompts."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name, photograph in {"a.jpg": data.astronaut(), "b.jpg": data.coffee()}.items():
        Image.fromarray(np.asarray(photograph)).resize((120, 100)).save(f"photos/{name}")
    [prompts] = [block for language, block in BLOCKS if language == "json"]
    Path("boxes.json").write_text(prompts)


def run(command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "anymask"
    done = CliRunner().invoke(app, arguments + FEW_POINTS * (arguments[0] == "everything"), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_on_one_machine_leave_what_they_say():
    for command in COMMANDS:
        if command.startswith("anymask") and "--ray" not in command:
            run(command)
    assert sorted(path.name for path in Path("masks").glob("*.json*")) == ["a.json", "b.json", "manifest.jsonl"]
    with Image.open("sheet.jpg") as sheet:
        assert sheet.width > 300
    assert len(json.loads(Path("for-coco/annotations.json").read_text())["images"]) == 2
    assert Path("to-look-at/a-overlay.png").is_file()
    assert sorted(path.name for path in Path("in-parts").glob("*.json*")) == ["a.json", "b.json", "manifest.jsonl"]
    found = json.loads(Path("cars/a.json").read_text())["annotations"]
    assert len(found) == 2
    assert json.loads(Path("cars/b.json").read_text())["annotations"][0]["label"] == "car"


def test_the_python_block_runs(capsys):
    [block] = [block for language, block in BLOCKS if language == "python"]
    exec(compile(block, "runs.md", "exec"), {})
    assert capsys.readouterr().out.startswith("2 ")
    assert len(json.loads(Path("from-python/annotations.json").read_text())["images"]) == 2
