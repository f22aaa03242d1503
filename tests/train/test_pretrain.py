"""Pre-training: it learns, what is interrupted carries on as if nothing had happened, and its encoder loads."""

import csv
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from anymask.models.checkpoints import CheckpointError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.masked_autoencoder import MaskedAutoencoder, MaskedImageModel
from anymask.models.registry import MODELS, UnknownModelError, assemble, build_model
from anymask.models.sam import Sam
from anymask.train import pretrain as module
from anymask.train.config_values import ConfigError
from anymask.train.initialise import load_initial
from anymask.train.pretrain import Pretrainer, build_masked_model, pretrain
from anymask.train.pretrain_batches import NoImagesError
from anymask.train.pretrain_settings import DECISIVE, PretrainSettings
from anymask.train.synthetic import synthetic_scene

KINDS = ("vit_b", "pocket")


class Crash(Exception):
    """Stands for a machine that goes down."""


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small pictures and one broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        Image.fromarray(synthetic_scene(number, 70, 80).image).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not much of a picture")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied afterwards: checkpoints are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def tiny(build_tiny: Callable[..., Sam], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small networks stand for the family's: a vision transformer for vit_b, convolutions for pocket."""

    def build(name: str, side: int) -> Sam:
        if name == "pocket":
            return build_tiny(side)
        return assemble(
            ImageEncoderViT(side, embed_dim=32, depth=3, num_heads=2, window_size=2, global_attn_indexes=(2,)), side
        )

    monkeypatch.setattr(module, "build_model", build)


def quick(photos: Path, folder: Path, model: str = "pocket", **changes: object) -> PretrainSettings:
    settings = PretrainSettings(
        images=str(photos),
        output=str(folder / "run"),
        model=model,
        side=48 if model == "pocket" else 64,
        batch=4,
        steps=7,
        device="cpu",
        precision="float32",
        checkpoint_every=3,
        log_every=2,
        previews=2,
    )
    return dataclasses.replace(settings, **changes)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("model", KINDS)
def test_a_run_leaves_what_it_says(photos: Path, folder: Path, model: str) -> None:
    settings = quick(photos, folder, model)
    result = pretrain(settings)
    assert result.complete
    assert (result.steps, result.images) == (7, 7)
    assert math.isfinite(result.loss)
    assert [Path(path).name for path in result.skipped] == ["broken.jpg"]
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == {
        "checkpoint.pt",
        "encoder.safetensors",
        "log.csv",
        "reconstructions.png",
        "skipped.csv",
    }
    assert [int(row["step"]) for row in rows(run / "log.csv")] == [2, 4, 6, 7]
    assert all(math.isfinite(float(row["loss"])) for row in rows(run / "log.csv"))
    assert [Path(row["file"]).name for row in rows(run / "skipped.csv")] == ["broken.jpg"]
    with Image.open(run / "reconstructions.png") as picture:
        assert picture.size == (3 * (settings.side + 4) + 4, 16 + 2 * (settings.side + 4) + 4)
    with safe_open(result.encoder, "pt") as file:
        assert file.metadata()["model"] == model
        assert file.metadata()["steps"] == "7"
        assert all(key.startswith("image_encoder.") for key in file.keys())  # noqa: SIM118


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize(("polite", "crash_at"), [(True, 3), (True, 5), (False, 4)])
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    photos: Path, folder: Path, model: str, polite: bool, crash_at: int
) -> None:
    whole = Pretrainer(quick(photos, folder, model, output=str(folder / "whole")))
    assert whole.train()

    def disturb(row: dict[str, float], done: int, total: int) -> None:
        assert total == 7
        assert set(row) == {"rate", "loss", "gradient"}
        if done == crash_at:
            if not polite:
                raise Crash
            os.kill(os.getpid(), signal.SIGTERM)

    first = Pretrainer(quick(photos, folder, model), disturb)
    if polite:
        assert not first.train()
    else:
        with pytest.raises(Crash):
            first.train()
    again = Pretrainer(quick(photos, folder, model))
    # A run that was asked to stop has done one step more by the time it looks; one that crashed has its checkpoint.
    assert again.step == (crash_at + 1 if polite else 3)
    assert again.train()
    assert_equal(again.model.state_dict(), whole.model.state_dict())
    assert rows(folder / "run" / "log.csv") == rows(folder / "whole" / "log.csv")
    assert_equal(load_file(folder / "run" / "encoder.safetensors"), load_file(folder / "whole" / "encoder.safetensors"))
    assert np.array_equal(
        np.asarray(Image.open(folder / "run" / "reconstructions.png")),
        np.asarray(Image.open(folder / "whole" / "reconstructions.png")),
    )


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_is_not_run_again(photos: Path, folder: Path) -> None:
    pretrain(quick(photos, folder, steps=2))
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").iterdir()}
    result = pretrain(quick(photos, folder, steps=2), lambda _row, _done, _total: pytest.fail("a step was done"))
    assert result.complete
    assert {path: path.stat().st_mtime_ns for path in (folder / "run").iterdir()} == before
    # More steps carry on.
    assert pretrain(quick(photos, folder, steps=3)).steps == 3


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("model", "rate", "share"), [("vit_b", 0.02, 0.9), ("pocket", 0.2, 0.8)])
def test_the_loss_falls(photos: Path, folder: Path, model: str, rate: float, share: float) -> None:
    losses: list[float] = []
    settings = quick(photos, folder, model, steps=60, batch=6, rate=rate, checkpoint_every=1000)
    pretrain(settings, lambda row, _done, _total: losses.append(row["loss"]))
    assert sum(losses[-10:]) < share * sum(losses[:5]) * 2


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("model", KINDS)
def test_the_encoder_loads_where_training_begins(photos: Path, folder: Path, model: str) -> None:
    trainer = Pretrainer(quick(photos, folder, model, steps=2))
    trainer.train()
    target = module.build_model(model, 96)
    line = load_initial(target, trainer.encoder_file, model)
    assert f"loaded the image encoder of {model}" in line
    loaded = target.image_encoder.state_dict()
    for key, value in trainer.model.encoder_state().items():
        if loaded[key].shape == value.shape:
            assert torch.equal(loaded[key], value), key
    # And where pre-training begins.
    more = Pretrainer(
        quick(photos, folder, model, output=str(folder / "more"), initial=str(trainer.encoder_file), steps=1)
    )
    assert more.notes == [load_initial(module.build_model(model, trainer.settings.side), trainer.encoder_file, model)]
    assert_equal(more.model.encoder_state(), trainer.model.encoder_state())
    # A run that carries on needs the file no more.
    more.train()
    trainer.encoder_file.unlink()
    assert Pretrainer(more.settings).notes == []


def test_vision_transformers_are_masked_autoencoders_and_others_are_painted_over() -> None:
    for name in MODELS:
        with torch.device("meta"):
            built = build_masked_model(build_model(name, 64), PretrainSettings("", "", model=name, side=64))
        assert isinstance(built, MaskedAutoencoder if name.startswith("vit_") else MaskedImageModel)
        if isinstance(built, MaskedAutoencoder):
            assert (len(built.decoder), built.narrow.out_features) == (8, 512)


@pytest.mark.usefixtures("tiny")
def test_the_decoder_is_smaller_for_a_small_encoder_unless_asked(photos: Path, folder: Path) -> None:
    settings = quick(photos, folder, "vit_b")
    small = build_masked_model(module.build_model("vit_b", 64), settings)
    assert isinstance(small, MaskedAutoencoder)
    assert (len(small.decoder), small.narrow.out_features) == (2, 32)
    asked = build_masked_model(
        module.build_model("vit_b", 64), dataclasses.replace(settings, decoder_depth=5, decoder_width=96)
    )
    assert isinstance(asked, MaskedAutoencoder)
    assert (len(asked.decoder), asked.narrow.out_features) == (5, 96)


@pytest.mark.usefixtures("tiny")
def test_the_rate_warms_up_and_falls_to_nothing(photos: Path, folder: Path) -> None:
    rates: list[float] = []
    settings = quick(photos, folder, steps=10, rate=0.64, warmup=0.3, checkpoint_every=1000)
    pretrain(settings, lambda row, _done, _total: rates.append(row["rate"]))
    peak = 0.64 * 4 / 256
    assert rates[:3] == pytest.approx([peak / 3, 2 * peak / 3, peak])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[5] == pytest.approx(peak * 0.5 * (1 + math.cos(math.pi * 3 / 7)))


@pytest.mark.usefixtures("tiny")
def test_epochs_and_minutes_become_steps(photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Pretrainer(quick(photos, folder, steps=None, epochs=1.5))
    trainer.train()
    assert trainer.total == math.ceil(1.5 * 7 / 4)

    clock = iter(range(100000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    timed = Pretrainer(quick(photos, folder, steps=None, minutes=0.2, output=str(folder / "timed")))
    before = {key: value.clone() for key, value in timed.model.state_dict().items()}
    # A step takes one tick of this clock, and the four that are tried out cost four.
    assert timed._steps_within(12.0) == 8
    assert_equal(timed.model.state_dict(), before)
    assert all(value.grad is None for value in timed.model.parameters())


@pytest.mark.usefixtures("tiny")
def test_a_run_by_minutes_keeps_its_number_of_steps(photos: Path, folder: Path) -> None:
    settings = quick(photos, folder, steps=None, minutes=0.5)
    trainer = Pretrainer(settings, lambda _row, _done, _total: os.kill(os.getpid(), signal.SIGINT))
    trainer._steps_within = lambda _seconds: 9
    assert not trainer.train()
    again = Pretrainer(settings)
    again._steps_within = lambda _seconds: pytest.fail("the pace was measured again")
    assert again.train()
    assert (again.step, again.total) == (9, 9)


@pytest.mark.usefixtures("tiny")
def test_a_gradient_that_is_not_finite_skips_the_step(
    photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = Pretrainer._backward
    seen: list[Tensor] = []

    def poisoned(self: Pretrainer, batch: object) -> float:
        seen.append(self.model.pixels.weight.detach().clone())
        loss = backward(self, batch)
        if self.step == 1:
            assert self.model.pixels.weight.grad is not None
            self.model.pixels.weight.grad[0, 0] = math.nan
        return loss

    monkeypatch.setattr(Pretrainer, "_backward", poisoned)
    trainer = Pretrainer(quick(photos, folder, steps=3, log_every=1, warmup=0.0))
    trainer.train()
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])
    assert all(torch.isfinite(value).all() for value in trainer.model.parameters())
    assert [row["gradient"] == "nan" for row in rows(folder / "run" / "log.csv")] == [False, True, False]


@pytest.mark.usefixtures("tiny")
def test_another_run_in_the_folder_is_not_overwritten(photos: Path, folder: Path) -> None:
    pretrain(quick(photos, folder, steps=1))
    for name, value, text in (
        ("side", 64, "side 48, not 64"),
        ("seed", 5, "seed 0, not 5"),
        ("rate", 0.1, "rate None"),
    ):
        with pytest.raises(ConfigError, match=rf"run holds a run with {text}.*: give another output folder"):
            Pretrainer(quick(photos, folder, **{name: value}))
    assert set(DECISIVE) < {field.name for field in dataclasses.fields(PretrainSettings)}


@pytest.mark.usefixtures("tiny")
def test_images_that_came_since_are_said(photos: Path, folder: Path) -> None:
    shutil.copytree(photos, folder / "photos")
    settings = quick(folder / "photos", folder, steps=1)
    pretrain(settings)
    assert Pretrainer(settings).notes == []
    shutil.copy(photos / "0.png", folder / "photos" / "new.png")
    (note,) = Pretrainer(settings).notes
    assert "7 images then, 8 images now" in note


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("content", [b"", b"half a file", {"settings": {}}, {"model": {}}, 5])
def test_a_damaged_checkpoint_is_an_error(photos: Path, folder: Path, content: object) -> None:
    checkpoint = folder / "run" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    if isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save(content, checkpoint)
    with pytest.raises(CheckpointError, match=r"cannot carry on from .*checkpoint\.pt, which is damaged"):
        Pretrainer(quick(photos, folder))


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_with_other_tensors_is_an_error(photos: Path, folder: Path) -> None:
    trainer = Pretrainer(quick(photos, folder))
    trainer.save()
    state = torch.load(trainer.checkpoint, weights_only=True)
    state["model"].pop("pixels.bias")
    torch.save(state, trainer.checkpoint)
    with pytest.raises(CheckpointError, match="which is damaged"):
        Pretrainer(quick(photos, folder))


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_is_whole_or_the_one_before(photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Pretrainer(quick(photos, folder))
    trainer.save()
    before = trainer.checkpoint.read_bytes()

    def full_disk(state: object, path: Path) -> None:
        del state
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trainer.save()
    assert trainer.checkpoint.read_bytes() == before
    assert not list((folder / "run").glob(".*"))


def test_wrong_settings_are_said_before_anything_is_made(photos: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="side must be a positive multiple of 16, not 100"):
        Pretrainer(quick(photos, folder, side=100))
    assert not (folder / "run").exists()


def test_what_is_not_there_is_said(photos: Path, folder: Path) -> None:
    with pytest.raises(UnknownModelError, match="unknown model 'pockets'"):
        Pretrainer(quick(photos, folder, "pockets"))
    with pytest.raises(NoImagesError, match="no folder"):
        Pretrainer(quick(photos / "nowhere", folder))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Pretrainer(quick(photos, folder, initial=str(folder / "none.pth")))
    (folder / "run").touch()
    with pytest.raises(ConfigError, match="run is a file: give a folder"):
        Pretrainer(quick(photos, folder))


@pytest.mark.usefixtures("tiny")
def test_the_guides_python_runs(photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "pretraining.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert "minutes=30" in code
    shutil.copytree(photos, folder / "photos")
    monkeypatch.chdir(folder)
    scope: dict[str, object] = {}
    exec(code.replace("minutes=30", "steps=1, side=32, batch=2, device='cpu'"), scope)
    assert scope["result"].complete
    assert (folder / "runs" / "encoder" / "encoder.safetensors").is_file()


SCRIPT = """
import json, sys, torch
from pathlib import Path
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.registry import assemble
from anymask.train import pretrain as module
from anymask.train.pretrain_settings import PretrainSettings

def build(name, side):
    if name == "pocket":
        return assemble(PocketEncoder(side, widths=(8, 16, 32), depths=(1, 1, 1), heads=2), side)
    return assemble(ImageEncoderViT(side, embed_dim=32, depth=2, num_heads=2), side)

module.build_model = build
photos, output = sys.argv[1:]
for model in ("vit_b", "pocket"):
    result = module.pretrain(PretrainSettings(
        photos, f"{output}/{model}", model=model, side=64, batch=4, steps=3, log_every=1, device="cpu",
        precision="float32"))
    if module.distributed.is_initialized() and module.distributed.get_rank() > 0:
        continue
    Path(output, f"{model}.json").write_text(json.dumps(sorted(result.skipped)))
"""


@pytest.mark.long
def test_two_processes_learn_what_one_does(photos: Path, folder: Path) -> None:
    script = folder / "run.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, start in (("one", [sys.executable]), ("two", both)):
        (folder / name).mkdir()
        command = [*start, str(script), str(photos), str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
    for model in KINDS:
        one, two = (rows(folder / name / model / "log.csv") for name in ("one", "two"))
        for first, second in zip(one, two, strict=True):
            assert float(first["loss"]) == pytest.approx(float(second["loss"]), rel=2e-3)
        skipped = [json.loads((folder / name / f"{model}.json").read_text()) for name in ("one", "two")]
        assert skipped[0] == skipped[1] == [str(photos / "broken.jpg")]
