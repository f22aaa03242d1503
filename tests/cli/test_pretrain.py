"""``anymask pretrain``, as it is typed."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from anymask.cli import app, main
from anymask.models.sam import Sam
from anymask.train import pretrain
from anymask.train.pretrain_batches import MaskedBatch
from anymask.train.synthetic import synthetic_scene


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.png", "more/c.webp")):
        Image.fromarray(synthetic_scene(number, 60, 70).image).save(folder / name)
    yield folder
    shutil.rmtree(tmp_path)


@pytest.fixture
def tiny(build_tiny: Callable[..., Sam], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "build_model", lambda _name, side: build_tiny(side))


def arguments(photos: Path, *more: str) -> list[str]:
    out = str(photos.parent / "out")
    quick = ["--side", "32", "--batch", "2", "--device", "cpu", "--precision", "float32"]
    return ["pretrain", str(photos), "-o", out, *quick, *more]


@pytest.mark.usefixtures("tiny")
def test_a_run_says_what_it_left(photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"nothing")
    done = CliRunner().invoke(app, arguments(photos, "--steps", "3"), catch_exceptions=False)
    assert done.exit_code == 0
    out = photos.parent / "out"
    text = " ".join(done.stderr.split())
    assert f"1 of 4 images could not be read, all are listed in {out / 'skipped.csv'}" in text
    assert f"the first: {photos / 'broken.png'} cannot be read" in text
    assert "3 images, 3 of 3 steps, loss " in text
    assert f"see what it fills in: {out / 'reconstructions.png'}" in text
    assert f"pre-trained; to train from it, give initial: {out / 'encoder.safetensors'}" in text
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.pt",
        "encoder.safetensors",
        "log.csv",
        "reconstructions.png",
        "skipped.csv",
    }
    # The encoder is one to begin with, here too.
    more = arguments(photos, "--epochs", "1", "--initial", str(out / "encoder.safetensors"), "-o", str(out) + "2")
    again = CliRunner().invoke(app, more, catch_exceptions=False)
    assert again.exit_code == 0
    assert "loaded the image encoder of pocket from" in again.stderr
    assert "2 of 2 steps" in again.stderr


@pytest.mark.usefixtures("tiny")
def test_a_configuration_file_says_the_rest(photos: Path) -> None:
    config = photos.parent / "quick.toml"
    config.write_text("steps = 50\nlog_every = 1\npreviews = 1\nmask_ratio = 0.5\n")
    done = CliRunner().invoke(app, arguments(photos, "--config", str(config), "--steps", "2"), catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert len((photos.parent / "out" / "log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--side", "100"], "side must be a positive multiple of 16, not 100: for example 96"),
        (["--model", "pockets"], "unknown model 'pockets'; known models: pocket, "),
        (["--steps", "3", "--epochs", "2"], "steps and epochs both say how long to train"),
        (["--config", "none.yaml"], "cannot read none.yaml"),
        (["--initial", "none.pth"], "no checkpoint at none.pth"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--precision", "float8"], "unknown precision 'float8'"),
        (["--batch", "0"], "batch must be at least 1, not 0"),
    ],
)
def test_what_is_wrong_is_one_line(
    photos: Path, change: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["anymask", *arguments(photos), *change])
    with pytest.raises(SystemExit) as caught:
        main()
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert not (photos.parent / "out").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"holds no image \(no file\)"),
        ({"notes.txt": b"hello"}, r"holds no image \(1 other file\)"),
        ({"a.jpg": b"hello"}, r"none of the 1 images can be read; the first: .*a\.jpg cannot be read"),
    ],
)
def test_a_folder_without_readable_images_is_one_line(
    tmp_path: Path, files: dict[str, bytes], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["anymask", *arguments(folder, "--steps", "1")])
    with pytest.raises(SystemExit, match=rf"anymask: .*{message}"):
        main()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_checkpoint_and_the_same_command_finishes(
    photos: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    out = photos.parent / "out"
    backward = pretrain.Pretrainer._backward

    def interrupted(self: pretrain.Pretrainer, batch: MaskedBatch) -> float:
        if self.step == 3:
            os.kill(os.getpid(), number)
        return backward(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(pretrain.Pretrainer, "_backward", interrupted)
        done = CliRunner().invoke(app, arguments(photos, "--steps", "9"), catch_exceptions=False)
    assert done.exit_code == 130
    assert "4 of 9 steps" in done.stderr
    assert "stopped and saved, the same command carries on" in done.stderr
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 4
    assert (out / "encoder.safetensors").is_file()
    again = CliRunner().invoke(app, arguments(photos, "--steps", "9"), catch_exceptions=False)
    assert again.exit_code == 0
    assert "9 of 9 steps" in again.stderr
