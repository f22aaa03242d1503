"""``anymask finetune``, as it is typed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import anymask
from anymask.cli import app, main
from anymask.models.sam import Sam
from anymask.train import finetune as finetune_module
from anymask.train import finetune_samples
from anymask.train.initialise import initialise_decoder


@pytest.fixture(autouse=True)
def tiny(
    build_tiny: Callable[..., Sam], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let "pocket" be a tiny model, with a cache of its own."""
    load = finetune_module.load

    def load_tiny(model: str, **options: str) -> object:
        if model != "pocket":
            return load(model, **options)
        torch.manual_seed(0)
        network = build_tiny(64)
        initialise_decoder(network.prompt_encoder, network.mask_decoder)
        return anymask.load(network, device="cpu", precision="float32")

    monkeypatch.setattr(finetune_module, "load", load_tiny)
    monkeypatch.setattr(finetune_samples, "FEWEST_STEPS", 2)
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path_factory.mktemp("home")))


def mask_folder(folder: Path, names: str = "abcd") -> Path:
    for number, name in enumerate(names):
        image = np.full((48, 64, 3), 40 + number, np.uint8)
        values = np.zeros((48, 64), np.uint8)
        image[10:30, 8:28] = image[20:40, 40:60] = 220
        values[10:30, 8:28], values[20:40, 40:60] = 1, 2
        for kind, pixels in (("images", image), ("masks", values)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)], catch_exceptions=False)


QUICK = ("--validation-share", 0.5, "--epochs", 1, "--batch", 1, "--masks", 2, "--views", 1, "--points", 0)


def test_a_run_says_what_it_found(tmp_path: Path) -> None:
    data, out = mask_folder(tmp_path / "data"), tmp_path / "out"
    done = run(data, "-o", out, *QUICK)
    report = json.loads((out / "report.json").read_text())
    assert done.exit_code == (3 if report["outcome"] == "unchanged" else 0)
    for expected in ("from a box", "1 click, by score", "all of them", "2 validation images, 2 trained on"):
        assert expected in done.stdout
    assert report["verdict"] in " ".join(done.stderr.split())
    assert (out / "before-after.png").is_file()
    again = run(data, "-o", out, *QUICK)
    assert again.exit_code == done.exit_code
    assert "is complete" in again.stderr
    assert again.stdout == done.stdout


def test_a_run_that_is_stopped_can_be_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = mask_folder(tmp_path / "data"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(finetune_module.FinetuneLoop, "train", lambda *_: False)
        stopped = run(data, "-o", out, *QUICK)
    assert stopped.exit_code == 130
    assert "the same command carries on" in " ".join(stopped.stderr.split())
    assert run(data, "-o", out, *QUICK).exit_code in (0, 3)


def no_images(folder: Path) -> None:
    mask_folder(folder)
    (folder / "images").rename(folder / "pictures")


def empty_masks(folder: Path) -> None:
    mask_folder(folder)
    for path in (folder / "masks").iterdir():
        assert cv2.imwrite(str(path), np.zeros((48, 64), np.uint8))


def another_size(folder: Path) -> None:
    mask_folder(folder)
    assert cv2.imwrite(str(folder / "masks" / "b.png"), np.ones((40, 64), np.uint8))


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        (lambda _: None, (), "there is nothing at"),
        (no_images, (), "holds masks, but there is no folder"),
        (empty_masks, QUICK, "all their masks are empty"),
        (another_size, QUICK, "b.png is 64 x 48, but its annotations are for 64 x 40"),
        (
            lambda folder: mask_folder(folder, "a"),
            QUICK,
            "has one image with masks (a.png); fine-tuning needs at least",
        ),
        (mask_folder, (), "say what to measure on: --validation-share 0.2, or --validation PATH"),
        (mask_folder, ("--validation-share", 2), "the validation share must be above 0 and below 1"),
        (mask_folder, (*QUICK, "--model", "pockett"), "unknown model 'pockett'"),
        (mask_folder, (*QUICK, "--model", "mine.pth"), "no checkpoint at mine.pth: no such file"),
        (mask_folder, (*QUICK, "--cache-limit", 0), "embeddings take 0.0 GiB, and the cache may hold 0.0 GiB: raise"),
        (mask_folder, (*QUICK, "--rate", -1), "rate must be above 0, not -1.0"),
        (mask_folder, (*QUICK, "--images", "x"), "there is no folder x with pictures"),
        (mask_folder, (*QUICK, "--kind", "mask"), "unknown kind of data set 'mask': use auto, masks, coco"),
    ],
)
def test_a_mistake_is_one_line(
    prepare: Callable[[Path], object],
    options: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(tmp_path / "data")
    arguments = ["anymask", "finetune", tmp_path / "data", "-o", tmp_path / "out", *options]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_another_folder_s_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.safetensors").write_bytes(b"precious")
    arguments = ["anymask", "finetune", mask_folder(tmp_path / "data"), "-o", tmp_path / "out", *QUICK]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    with pytest.raises(SystemExit, match=r"already holds a model\.safetensors"):
        main()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"precious"
