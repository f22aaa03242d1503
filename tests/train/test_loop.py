"""The training loop: what is interrupted carries on as if nothing had happened."""

import csv
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import build, configuration
from torch import Tensor

import anymask
from anymask.models.checkpoints import CheckpointError
from anymask.models.sam import Sam
from anymask.segment.segmenter import DeviceError
from anymask.train import loop
from anymask.train.batches import Batch
from anymask.train.config import ConfigError, DataConfig, PhaseConfig, TrainConfig
from anymask.train.interactive import InteractiveSettings
from anymask.train.loop import DivergedError, Trainer, open_dataset, train
from anymask.train.step import TrainingStep

QUICK = InteractiveSettings(points=1, mask_only=0)


class Crash(Exception):
    """Stands for a machine that goes down."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied afterwards: checkpoints are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def config(folder: Path, tiny_coco: Path) -> TrainConfig:
    return TrainConfig(
        output=str(folder / "run"),
        data=(
            DataConfig("coco", str(tiny_coco), split="all", paste=True),
            DataConfig("synthetic", size=64),
        ),
        phases=(
            PhaseConfig("dense", steps=4, image_size=64, batch_size=2, max_masks=3, warmup=2),
            PhaseConfig("interactive", 7, 96, 2, 3, warmup=2, interaction=QUICK),
        ),
        device="cpu",
        precision="float32",
        ema=0.9,
        checkpoint_every=3,
        log_every=2,
    )


@pytest.fixture
def tiny(build_tiny: Callable[..., Sam], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the trainer build small networks."""
    monkeypatch.setattr(loop, "build_model", lambda _name, side: build_tiny(side))


def only(config: TrainConfig, number: int, **changes: Any) -> TrainConfig:
    """The same run with one of its phases alone."""
    return dataclasses.replace(config, phases=(dataclasses.replace(config.phases[number], **changes),))


def log_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def copies(trainer: Trainer) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in trainer.model.state_dict().items()}


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("crash_at", [(0, 2), (1, 4), (1, 6)])
@pytest.mark.parametrize("polite", [True, False], ids=["SIGTERM", "crash"])
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    config: TrainConfig, folder: Path, crash_at: tuple[int, int], polite: bool
) -> None:
    whole = dataclasses.replace(config, output=str(folder / "whole"))
    complete, expected = train(whole)
    assert complete

    def disturb(row: dict[str, float], done: int, total: int) -> None:
        assert total == 11
        assert done == row["step"] + 4 * row["phase"]
        if (row["phase"], row["step"]) == crash_at:
            if not polite:
                raise Crash
            os.kill(os.getpid(), signal.SIGTERM)

    if polite:
        complete, _ = train(config, disturb)
        assert not complete
    else:
        with pytest.raises(Crash):
            train(config, disturb)
    trainer = Trainer(config)
    assert trainer.train()
    assert log_rows(folder / "run") == log_rows(folder / "whole")
    assert len(log_rows(folder / "run")) == 6
    assert_equal(trainer.model.state_dict(), expected.state_dict())
    assert_equal(load_file(folder / "run" / "model.safetensors"), load_file(folder / "whole" / "model.safetensors"))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_parts_and_stochastic_depth_resume_exactly(
    folder: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    monkeypatch.setattr(loop, "build_model", lambda _name, side: build("vit", side))
    changes = {
        "accumulate": 2,
        "drop_path": 0.5,
        "layer_decay": 0.8,
        "dense_weight": 0.2,
        "freeze": ("prompt_encoder",),
    }
    whole = configuration(str(folder / "whole"), steps=4, **changes)
    _, expected = train(whole)

    def disturb(row: dict[str, float], _done: int, _total: int) -> None:
        if row["step"] == crash_at:
            raise Crash

    config = dataclasses.replace(whole, output=str(folder / "run"))
    with pytest.raises(Crash):
        train(config, disturb)
    complete, model = train(config)
    assert complete
    assert log_rows(folder / "run") == log_rows(folder / "whole")
    assert_equal(model.state_dict(), expected.state_dict())


@pytest.mark.long
def test_a_run_killed_at_random_moments_ends_as_an_undisturbed_one(folder: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tiny_run import train;"
        "train('vit', sys.argv[2], {'steps': 24, 'drop_path': 0.3, 'batch_size': 2})"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    subprocess.run([*command, str(folder / "whole")], env=environment, check=True)
    rng = random.Random(0)
    log = folder / "run" / "log.csv"
    kills = 0
    for _ in range(60):
        before = log.stat().st_mtime_ns if log.is_file() else None
        with subprocess.Popen([*command, str(folder / "run")], env=environment) as process:
            # The log is cut or begun when training begins, and grows by a row a step.
            while process.poll() is None and (not log.is_file() or log.stat().st_mtime_ns == before):
                time.sleep(0.002)
            enough = len(log.read_text().splitlines()) + rng.randint(1, 6)
            while process.poll() is None and len(log.read_text().splitlines()) < enough:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            process.wait()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 3
    assert process.returncode == 0
    assert log_rows(folder / "run") == log_rows(folder / "whole")
    assert len(log_rows(folder / "run")) == 24
    first, second = (load_file(folder / name / "model.safetensors") for name in ("run", "whole"))
    assert_equal(first, second)


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_is_not_run_again(config: TrainConfig, folder: Path) -> None:
    short = only(config, 0, steps=2)
    train(short)
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").iterdir()}
    reported: list[int] = []
    complete, _ = train(short, lambda _row, done, _total: reported.append(done))
    assert complete
    assert reported == []
    after = {path: path.stat().st_mtime_ns for path in (folder / "run").iterdir()}
    assert before.keys() == after.keys()
    assert {path.name for path in before} == {"checkpoint.pt", "log.csv", "model.safetensors"}


@pytest.mark.usefixtures("tiny")
def test_the_rate_warms_up_and_falls(config: TrainConfig, folder: Path) -> None:
    train(dataclasses.replace(only(config, 0, steps=10, warmup=4, final_rate=0.1), log_every=1))
    rates = [float(row["rate"]) for row in log_rows(folder / "run")]
    assert rates[0] == pytest.approx(4e-4 / 4)
    assert max(rates) == rates[3]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0.1 * 4e-4 < rates[-1] < 0.2 * 4e-4


@pytest.mark.usefixtures("tiny")
def test_a_frozen_encoder_does_not_change(config: TrainConfig) -> None:
    trainer = Trainer(only(config, 1, encoder_rate=0.0, steps=2))
    before = copies(trainer)
    assert trainer.train()
    changed = {key for key, value in trainer.model.state_dict().items() if not torch.equal(value, before[key])}
    assert any(key.startswith("mask_decoder.") for key in changed)
    assert any(key.startswith("prompt_encoder.") for key in changed)
    assert not any(key.startswith("image_encoder.") for key in changed)


@pytest.mark.usefixtures("tiny")
def test_without_freezing_every_part_changes(config: TrainConfig) -> None:
    trainer = Trainer(only(config, 1, steps=2))
    before = copies(trainer)
    trainer.train()
    changed = {key for key, value in trainer.model.state_dict().items() if not torch.equal(value, before[key])}
    parts = {key.split(".")[0] for key in changed}
    assert parts == {"image_encoder", "prompt_encoder", "mask_decoder"}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_skips_the_step(
    config: TrainConfig, folder: Path, monkeypatch: pytest.MonkeyPatch, poison: float
) -> None:
    backward = TrainingStep.backward
    seen: list[dict[str, Tensor]] = []

    def poisoned(self: TrainingStep, batch: Batch, step: int) -> Tensor:
        seen.append({key: value.detach().clone() for key, value in self.model.named_parameters()})
        figures = backward(self, batch, step)
        if step == 1:
            gradient = self.model.mask_decoder.output_upscaling[0].weight.grad
            assert gradient is not None
            gradient[0, 0] = poison
        return figures

    monkeypatch.setattr(TrainingStep, "backward", poisoned)
    trainer = Trainer(dataclasses.replace(only(config, 0, steps=3), log_every=1))
    trainer.train()
    assert_equal(seen[1], seen[2])
    assert any(not torch.equal(value, seen[1][key]) for key, value in seen[0].items())
    final = dict(trainer.model.named_parameters())
    assert any(not torch.equal(value, final[key]) for key, value in seen[2].items())
    assert all(torch.isfinite(value).all() for value in final.values())
    assert [row["gradient"] == "" for row in log_rows(folder / "run")] == [False, True, False]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("number", [0, 1], ids=["dense", "interactive"])
def test_a_broken_image_does_not_poison_the_running_statistics(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    backward = TrainingStep.backward
    before: dict[str, Tensor] = {}

    def poisoned(self: TrainingStep, batch: Batch, step: int) -> Tensor:
        if step == 1:
            before.update({key: value.clone() for key, value in self.model.state_dict().items()})
            batch.images[0, 0, 3, 3] = float("nan")
        return backward(self, batch, step)

    monkeypatch.setattr(TrainingStep, "backward", poisoned)
    trainer = Trainer(only(config, number, steps=2))
    assert trainer.train()
    assert any("running_mean" in key for key in before)
    assert_equal(trainer.model.state_dict(), before)
    assert all(value.isfinite().all() for value in trainer.average.values())


@pytest.mark.usefixtures("tiny")
def test_a_run_that_has_diverged_says_so(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_GIVE_UP_AFTER", 3)
    trainer = Trainer(only(config, 0, steps=9))
    trainer.save()
    with torch.no_grad():
        trainer.dense.place.weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"3 steps in a row had no finite gradient, the last one step 2 of phase 0"):
        trainer.train()


@pytest.mark.usefixtures("tiny")
def test_the_average_follows_the_weights(config: TrainConfig) -> None:
    trainer = Trainer(dataclasses.replace(only(config, 0, steps=2), ema=0.0))
    trainer.train()
    assert_equal(trainer.average, trainer.model.state_dict())
    trainer = Trainer(dataclasses.replace(only(config, 0, steps=2), output=config.output + "2", ema=0.9))
    first = copies(trainer)
    trainer.train()
    key = "mask_decoder.output_upscaling.0.weight"
    last = trainer.model.state_dict()[key]
    assert not torch.equal(trainer.average[key], last)
    # Between where it began and where it went.
    assert (trainer.average[key] - first[key]).norm() < (last - first[key]).norm()


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_is_whole_or_the_one_before(
    config: TrainConfig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(only(config, 0))
    trainer.save()
    before = trainer.checkpoint.read_bytes()

    def full_disk(state: object, path: Path) -> None:
        del state
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop.torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trainer.save()
    assert trainer.checkpoint.read_bytes() == before
    assert sorted(path.name for path in (folder / "run").iterdir()) == ["checkpoint.pt", "model.safetensors"]


@pytest.mark.usefixtures("tiny")
def test_checkpoints_that_do_not_fit_are_errors(config: TrainConfig, folder: Path) -> None:
    checkpoint = folder / "run" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    for state in ({"model": {}}, {"model": {"foreign": torch.zeros(1)}}, 5):
        torch.save(state, checkpoint)
        with pytest.raises(CheckpointError, match=r"cannot carry on from .*checkpoint\.pt"):
            Trainer(config)
    for content in (b"", b"half a file"):
        checkpoint.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"cannot carry on from .*checkpoint\.pt"):
            Trainer(config)


@pytest.mark.usefixtures("tiny")
def test_a_log_cut_short_by_a_crash_is_mended(config: TrainConfig, folder: Path) -> None:
    short = only(config, 0)
    train(short)
    log = folder / "run" / "log.csv"
    rows = log_rows(folder / "run")
    log.write_text(log.read_text() + "0,3")
    Trainer(short)
    assert log_rows(folder / "run") == rows


@pytest.mark.usefixtures("tiny")
def test_a_millionth_step_stays_a_whole_number(config: TrainConfig, folder: Path) -> None:
    trainer = Trainer(config)
    trainer.step = 1_234_567
    trainer._log([{"loss": 0.123456789}])
    assert (log_rows(folder / "run")[0]["step"], log_rows(folder / "run")[0]["loss"]) == (
        "1234567",
        "0.123457",
    )


@pytest.mark.usefixtures("tiny")
def test_training_runs_outside_the_main_thread(config: TrainConfig) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: Trainer(only(config, 0, steps=1)).train()).result()


@pytest.mark.usefixtures("tiny")
def test_signals_are_given_back(config: TrainConfig) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    train(only(config, 0, steps=1))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.usefixtures("tiny")
def test_weights_to_begin_with_are_read_once(config: TrainConfig, folder: Path) -> None:
    path = folder / "start.safetensors"
    save_file({key: value * 0 + 0.25 for key, value in loop.build_model("", 64).state_dict().items()}, path)
    begins = dataclasses.replace(only(config, 0), initial=str(path))
    trainer = Trainer(begins)
    assert trainer.beginning.startswith("loaded all of pocket from")
    assert (trainer.model.mask_decoder.iou_token.weight == 0.25).all()
    assert trainer.train()
    path.unlink()
    assert Trainer(begins).beginning == ""


@pytest.mark.usefixtures("tiny")
def test_the_decoder_starts_as_it_is_told(config: TrainConfig) -> None:
    def matches(choice: str) -> bool:
        trainer = Trainer(dataclasses.replace(config, decoder_start=choice))
        attention = trainer.model.mask_decoder.transformer.final_attn_token_to_image
        return torch.equal(attention.q_proj.weight, attention.k_proj.weight)

    assert matches("matching")
    assert not matches("random")


def test_images_that_are_not_fully_annotated_can_be_left_out(tmp_path: Path, tiny_coco: Path) -> None:
    content = json.loads((tiny_coco / "annotations.json").read_text())
    for number, image in enumerate(content["images"]):
        image["exhaustive"] = number % 3 == 0
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(tiny_coco / "images")
    settings = DataConfig("coco", str(tmp_path), split="all")
    every = open_dataset(settings, 0)
    full = open_dataset(dataclasses.replace(settings, only_exhaustive=True), 0)
    assert len(every) == 6
    assert [full.name(index) for index in range(len(full))] == ["scene-0.png", "scene-3.png"]
    by_name = {every.name(index): every.masks(index) for index in range(6)}
    assert full.masks(1) == by_name["scene-3.png"]
    with pytest.raises(ConfigError, match="only_exhaustive is for data sets of kind coco, not auto"):
        open_dataset(dataclasses.replace(settings, kind="auto", only_exhaustive=True), 0)


def test_a_data_set_is_recognised(tiny_coco: Path) -> None:
    found, named = (open_dataset(DataConfig(kind, str(tiny_coco), split="all"), 0) for kind in ("auto", "coco"))
    assert [found.name(index) for index in range(len(found))] == [named.name(index) for index in range(len(named))]
    assert found.masks(0) == named.masks(0)


def test_wrong_settings_are_said_before_training(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="a data set of kind sa1b needs a path"):
        open_dataset(DataConfig("sa1b"), 0)
    with pytest.raises(DeviceError, match="unknown device"):
        Trainer(dataclasses.replace(config, device="abacus"))
    with pytest.raises(anymask.AnymaskError, match="unknown model 'pockets'"):
        Trainer(dataclasses.replace(config, model="pockets"))


def test_sigterm_leaves_a_checkpoint_and_the_same_command_finishes(folder: Path) -> None:
    path = folder / "run.yaml"
    path.write_text(
        "output: run\nprecision: float32\ndevice: cpu\nlog_every: 1\ncheckpoint_every: 1000\nema: 0.5\n"
        "data: [{kind: synthetic, size: 64}]\n"
        "phases: [{objective: dense, steps: 25, image_size: 64, batch_size: 1, max_masks: 2}]\n"
    )
    command = [sys.executable, "-c", "from anymask.cli import main; main()", "train", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = folder / "run"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while not (run / "log.csv").is_file() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "the same command carries on" in errors
    stopped = torch.load(run / "checkpoint.pt", weights_only=True)
    assert (stopped["phase"], stopped["step"]) == (0, len(log_rows(run)))
    assert 1 <= stopped["step"] < 25
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert again.returncode == 0, again.stderr
    assert "trained; the weights are" in again.stderr
    assert [int(row["step"]) for row in log_rows(run)] == list(range(1, 26))
    assert (run / "log.png").is_file()

    # What was exported is the average, and loads as a model.
    finished = torch.load(run / "checkpoint.pt", weights_only=True)
    model = anymask.load(run / "model.safetensors", device="cpu")
    assert model.name == "pocket (model.safetensors)"
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, finished["average"][key], rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(finished["average"][key], value) for key, value in finished["model"].items())
