"""``anymask export``, as it is typed."""

import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner

import anymask
from anymask.cli import app, main


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def tiny(build_tiny, monkeypatch):
    segmenter = anymask.load(build_tiny(64), device="cpu", precision="float32")
    monkeypatch.setattr("anymask.load", lambda *_given, **_options: segmenter)
    return segmenter


@pytest.mark.usefixtures("tiny")
def test_a_file_is_written_and_its_agreement_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("mine.safetensors", "--part", "encoder")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("encoder.onnx: encoder of custom, ")
    assert lines[0].endswith(" MB, opset 18")
    assert lines[1].startswith("  2 runs in ONNX Runtime and in torch; largest differences: image_embeddings ")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.onnx"]


@pytest.mark.usefixtures("tiny")
@pytest.mark.long
def test_every_part_and_option(tmp_path):
    for part in ("decoder", "studio"):
        for options in ([], ["--single-mask"], ["--eight-bit"], ["--no-check", "--opset", "20"]):
            path = tmp_path / f"{part}{''.join(options)}.onnx"
            done = run("tiny", "--part", part, "-o", path, *options)
            assert done.exit_code == 0
            assert ("mean IoU" in done.stdout) == ("--no-check" not in options)
            masks = {value.name: value for value in onnx.load(path).graph.output}["low_res_masks"]
            count = masks.type.tensor_type.shape.dim[1].dim_value
            assert count == (1 if "--single-mask" in options else 4)
    assert run("tiny", "--part", "studio-image", "-o", tmp_path / "image.onnx").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pocket", "-o", "decoder.pt"], "an ONNX file's name ends in .onnx, and decoder.pt does not"),
        (["pocket", "-o", "none/decoder.onnx"], "there is no folder none for decoder.onnx"),
        (["pocket", "--opset", "11"], "opset 11 is not offered: use 18 to 23"),
        (["vit_x"], "unknown model 'vit_x'"),
        (["pocket", "--part", "encoder", "--eight-bit"], "encoder is not offered in 8 bits"),
        (["pocket", "--part", "encoder", "--single-mask"], "encoder gives no masks"),
    ],
)
def test_every_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["anymask", "export", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert not list(tmp_path.iterdir())


def test_an_unknown_part_is_a_mistake_in_usage():
    done = run("pocket", "--part", "neck")
    assert done.exit_code == 2
    assert "decoder" in done.stderr
    assert "encoder" in done.stderr
