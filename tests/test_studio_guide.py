"""The guide to the studio runs as it stands: its commands, and its program while the studio serves."""

import contextlib
import io
import re
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask import formats
from anymask.cli import app
from anymask.formats import AnnotatedImage
from anymask.segment.masks import Masks

GUIDE = (Path(__file__).parents[1] / "docs" / "studio.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]
[PROGRAM] = [block for language, block in BLOCKS if language == "python"]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with photos/ of two small pictures, and annotations.json of a cat on one of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    # Ten seconds of work that the guide does not show.
    monkeypatch.setattr("anymask.studio.decoder_files.DecoderFiles.prepare", lambda *_: None)
    monkeypatch.setattr("anymask.studio.server._SECONDS_TO_END", 120.0)
    Path("photos").mkdir()
    for name in ("a.png", "truck.jpg"):
        Image.new("RGB", (40, 30), (90, 120, 30)).save(f"photos/{name}")
    masks = Masks.from_arrays(np.pad(np.ones((1, 10, 10), bool), ((0, 0), (5, 15), (5, 25))), labels=["cat"])
    formats.write("annotations.json", [AnnotatedImage("a.png", masks)], "coco")


def test_the_commands_and_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []

    def browse(address: str) -> bool:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(PROGRAM.replace("http://127.0.0.1:8765/", address.partition("?")[0]), {})
        printed.append(said.getvalue())
        # As somebody would end it in the terminal.
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    assert [line.split()[0] for line in COMMANDS] == ["pip", *["anymask"] * 4, "ssh"]
    for command in COMMANDS[1:-1]:
        serves = "--export" not in command
        port = ["--port", "0"] if serves else []
        done = CliRunner().invoke(app, shlex.split(command)[1:] + port, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert ("Ctrl-C ends it" in done.output) == serves
    assert printed == ["a.png []\ntruck.jpg []\n", "a.png ['cat']\ntruck.jpg []\n"]
    assert len(next(formats.read("masks.json")).masks) == 1
    assert Path("for-yolo/images/a.png").read_bytes() == Path("photos/a.png").read_bytes()
