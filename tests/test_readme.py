"""The README's Python runs as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import anymask
from anymask.models.architecture import VitArchitecture

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
COMMANDS = [
    line.split("|")[0].split()
    for block in re.findall(r"```\n(.*?)```", README.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith(".venv/bin/anymask")
]


@pytest.fixture
def photo_folder(tmp_path, monkeypatch):
    picture = Image.fromarray(np.asarray(data.astronaut())).resize((1100, 900))
    picture.save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_block_runs_and_leaves_what_it_says(photo_folder):
    scope: dict[str, object] = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), scope)
    assert len(scope["masks"]) == 1
    assert scope["many"].prompt.tolist() == [0, 1]
    assert len(scope["found"]) >= 8
    with Image.open(photo_folder / "overlay.png") as overlay:
        assert overlay.size == (1100, 900)
    assert (photo_folder / "photo.embedding.safetensors").stat().st_size > 100_000


def test_the_drop_in_block_imports():
    statement = BLOCKS[1].splitlines()[0]
    scope: dict[str, object] = {}
    exec(statement, scope)
    assert callable(scope["sam_model_registry"]["vit_h"])


def test_the_checkpoint_block_runs_and_leaves_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    architecture = VitArchitecture(image_size=64, embed_dim=32, depth=2, num_heads=2, mlp_dim=64, global_blocks=(1,))
    anymask.load(architecture.build(), device="cpu").save_transformers("my-sam")
    block = next(block for block in BLOCKS if "save_transformers" in block)
    exec(compile(block, "README.md", "exec"), {})
    mine, again = (anymask.load(name, device="cpu") for name in ("mine.safetensors", "for-transformers"))
    assert mine.fingerprint == again.fingerprint
    assert (tmp_path / "for-transformers" / "preprocessor_config.json").is_file()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[1:]))
def test_the_commands_run(photo_folder, command):
    start = [sys.executable, "-c", "from anymask.cli import main; main()"]
    # The training and evaluation commands of the README take hours; their own tests run them on little.
    if command[1] not in ("segment", "everything"):
        pytest.skip("only --help of long commands")
    done = subprocess.run([*start, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "no masks" not in done.stderr
    written = list(photo_folder.glob("out/*")) or done.stdout
    assert written
    shutil.rmtree(photo_folder / "out", ignore_errors=True)
