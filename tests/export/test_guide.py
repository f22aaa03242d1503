"""The guide's Python runs as it stands, and gives the mask of the own interface."""

import re
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

GUIDE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def test_the_python_block(pocket, encoder_file, decoder_file, tmp_path, monkeypatch):
    (block,) = [block for language, block in BLOCKS if language == "python"]
    Image.fromarray(np.asarray(data.astronaut())).resize((1100, 900)).save(tmp_path / "photo.jpg")
    (tmp_path / "encoder.onnx").symlink_to(encoder_file)
    (tmp_path / "decoder.onnx").symlink_to(decoder_file)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(block, "export.md", "exec"), scope)
    expected = pocket.encode("photo.jpg").segment(points=[(500, 375), (40, 20)], labels=[1, 0])
    wanted, found = expected.decode()[0], scope["mask"]
    assert (wanted & found).sum() >= 0.99 * (wanted | found).sum()
    assert wanted.any()
    np.testing.assert_allclose(scope["scores"][0, 0], expected.scores[0], atol=0.01)


def test_the_commands_are_those_of_the_program():
    from typer.testing import CliRunner

    from anymask.cli import app

    text = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200"}).stdout
    commands = [line for language, block in BLOCKS if not language for line in block.splitlines()]
    options = set(re.findall(r"--[a-z-]+", "\n".join(commands)))
    assert {"--part"} == options
    assert all(option in text for option in [*options, "--single-mask", "--eight-bit", "--no-check", "--opset"])


def test_the_table_has_the_files_inputs_and_outputs(encoder_file, decoder_file, refine_file):
    import onnx

    for path, part in ((encoder_file, "encoder"), (decoder_file, "decoder"), (refine_file, "studio-refine")):
        row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{part}`"))
        graph = onnx.load(path).graph
        for value in [*graph.input, *graph.output]:
            assert f"`{value.name}`" in row
