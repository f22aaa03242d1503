"""Fine-tuning from data to report, on a tiny network."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

import anymask
from anymask.errors import AnymaskError
from anymask.evaluate import evaluate_clicks
from anymask.formats.datasets import DatasetError, Rle
from anymask.models.sam import Sam
from anymask.segment import rle
from anymask.segment.segmenter import Segmenter
from anymask.train import finetune as finetune_module
from anymask.train import finetune_loop, finetune_samples
from anymask.train.finetune import FinetuneResult, export, finetune
from anymask.train.finetune_loop import FinetuneLoop
from anymask.train.finetune_settings import FinetuneError, FinetuneSettings
from anymask.train.initialise import initialise_decoder
from anymask.train.interactive import InteractiveSettings

QUICK = FinetuneSettings(epochs=1, rate=3e-3, batch=2, max_masks=3, points=1, mask_only=0, views=2)


SLOWER = ("adapters", "everything")


class Squares:
    """Images of three bright squares each, which a tiny network learns within seconds."""

    def __init__(self, names: str) -> None:
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    def _scene(self, index: int) -> tuple[NDArray[np.uint8], list[Rle]]:
        rng = np.random.default_rng(ord(self.names[index]))
        image = rng.integers(0, 60, (64, 60, 3)).astype(np.uint8)
        masks = []
        for number in range(3):
            width, height = rng.integers(9, 18, 2)
            x, y = 1 + 20 * number, int(rng.integers(2, 40))
            mask = np.zeros((64, 60), bool)
            mask[y : y + height, x : x + width] = True
            image[mask] = image[mask] // 4 + 190
            masks.append(rle.encode_mask(mask))
        return image, masks

    def name(self, index: int) -> str:
        return f"{self.names[index]}.png"

    def image(self, index: int) -> NDArray[np.uint8]:
        return self._scene(index)[0]

    def masks(self, index: int) -> list[Rle]:
        return self._scene(index)[1]

    def categories(self, index: int) -> list[str]:
        return [""] * len(self.masks(index))


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune_samples, "FEWEST_STEPS", 8)


@pytest.fixture
def balanced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train with the pixel loss that gets a decoder off its random start; focal loss pulls it to "all background"."""
    settings = InteractiveSettings(points=0, mask_only=0, box_jitter=0.04, pixel_loss="balanced", pixel_weight=2.0)
    monkeypatch.setattr(FinetuneSettings, "interaction", settings)


@pytest.fixture
def fresh(build_tiny: Callable[..., Sam]) -> Callable[[], Segmenter]:
    """A builder of always the same random model."""

    def build() -> Segmenter:
        torch.manual_seed(0)
        network = build_tiny(64)
        initialise_decoder(network.prompt_encoder, network.mask_decoder)
        return anymask.load(network, device="cpu", precision="float32")

    return build


@pytest.fixture
def run(fresh: Callable[[], Segmenter], tmp_path: Path) -> Callable[..., FinetuneResult]:
    """Fine-tune the tiny model on a few squares."""

    def start(output: str = "out", settings: FinetuneSettings = QUICK, **options: object) -> FinetuneResult:
        where = {"model": fresh(), "cache": tmp_path / "cache", "validation": Squares("xy")} | options
        return finetune(Squares("abcd"), tmp_path / output, settings=settings, **where)  # type: ignore[arg-type]

    return start


@contextmanager
def stopped_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Ctrl-C come after so many steps."""

    @contextmanager
    def requests() -> Iterator[Callable[[], bool]]:
        asked = iter(range(10_000))
        yield lambda: next(asked) >= steps

    with monkeypatch.context() as patch:
        patch.setattr(finetune_module, "stop_requests", requests)
        yield


@pytest.mark.usefixtures("balanced")
def test_the_whole_path(run: Callable[..., FinetuneResult], fresh: Callable[[], Segmenter], tmp_path: Path) -> None:
    stages: list[str] = []
    settings = replace(QUICK, epochs=5)
    result = run(settings=settings, progress=lambda stage, *_: stages.append(stage))
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "model.safetensors",
        "report.json",
        "before-after.png",
        "log.csv",
        "checkpoint.pt",
    }
    assert list(dict.fromkeys(stages)) == list(finetune_module.STAGES)
    with (out / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in log] == list(range(result.epochs + 1))
    assert float(log[-1]["loss"]) < 0.95 * float(log[1]["loss"])
    report = json.loads((out / "report.json").read_text())
    assert report["outcome"] == result.outcome == "better"
    assert report["images"] == {"trained on": 4, "measured on": 2}
    assert report["figures"]["overall"]["difference"]["mean"] == pytest.approx(result.gains["overall"].difference.mean)
    assert result.gains["overall"].difference.mean > 0.05
    assert "better" in result.verdict
    with Image.open(out / "before-after.png") as sheet:
        assert sheet.width > 900
    exported, original = load_file(out / "model.safetensors"), fresh().state_dict()
    assert exported.keys() == original.keys()
    changed = {name for name, value in original.items() if not torch.equal(exported[name], value)}
    assert {name.split(".")[0] for name in changed} == {"prompt_encoder", "mask_decoder"}
    # The figures are those of the exported file, but for embeddings in half precision.
    tuned = fresh()
    tuned.network.load_state_dict(exported)
    measured = evaluate_clicks(tuned, Squares("xy"), max_clicks=5, thresholds=(), baselines=False)
    assert measured.groups["all"].iou["box"].mean == pytest.approx(result.gains["box"].after.mean, abs=0.03)


def test_what_is_exported_is_an_ordinary_model(random_segmenter: Segmenter, tmp_path: Path) -> None:
    export(random_segmenter, tmp_path / "model.safetensors")
    again = anymask.load(tmp_path / "model.safetensors", device="cpu", precision="float32")
    assert again.fingerprint == random_segmenter.fingerprint
    assert again.input_side == random_segmenter.input_side


def test_a_finished_run_says_so_and_does_nothing(
    run: Callable[..., FinetuneResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run()
    assert not first.was_complete
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    monkeypatch.setattr(FinetuneLoop, "train", lambda *_: pytest.fail("trained again"))
    again = run()
    assert again.was_complete
    assert again.outcome == first.outcome
    assert again.gains["box"].after == first.gains["box"].after
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


def same_training(first: Path, second: Path) -> None:
    """See that two runs ended with the same weights after the same losses."""
    states = [torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (first, second)]
    for part in ("weights", "average"):
        assert all(torch.equal(states[0][part][name], states[1][part][name]) for name in states[0][part])
    losses = [[row.get("loss") for row in state["history"]] for state in states]
    assert losses[0] == losses[1]
    assert len(losses[0]) > 1


@pytest.mark.parametrize("part", ["decoder", *(pytest.param(part, marks=pytest.mark.long) for part in SLOWER)])
def test_a_stopped_run_carries_on_exactly(
    run: Callable[..., FinetuneResult], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(QUICK, train=part)
    whole = run("whole", settings)
    with stopped_after(3, monkeypatch):
        stopped = run("parts", settings)
    assert stopped.outcome == "stopped"
    assert (tmp_path / "parts" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "parts" / "report.json").read_text())["steps"] == 3
    resumed = run("parts", settings)
    assert not resumed.was_complete
    assert resumed.epochs == whole.epochs == 1
    same_training(tmp_path / "whole", tmp_path / "parts")


def test_a_killed_run_carries_on_from_its_checkpoint(
    run: Callable[..., FinetuneResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole")
    monkeypatch.setattr(finetune_loop, "CHECKPOINT_SECONDS", 0.0)
    taken = 0
    step = FinetuneLoop._take_step

    def dying(self: FinetuneLoop, batch: list[object]) -> None:
        nonlocal taken
        taken += 1
        if taken == 6:
            raise SystemError("killed")
        step(self, batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneLoop, "_take_step", dying)
        with pytest.raises(SystemError):
            run("killed")
    assert run("killed").epochs == whole.epochs == QUICK.epochs
    same_training(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("part", ["adapters", pytest.param("encoder-adapters", marks=pytest.mark.long), "everything"])
def test_other_parts_learn_too(
    run: Callable[..., FinetuneResult], fresh: Callable[[], Segmenter], part: str, tmp_path: Path
) -> None:
    run(settings=replace(QUICK, train=part, rank=4))
    # The weights themselves, because so short a training need not lead to a better model.
    trained = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["weights"]
    original = fresh().state_dict()
    exported = original | trained
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == original.keys()
    changed = {name for name, value in original.items() if not torch.equal(exported[name], value)}
    of_encoder = {name for name in changed if name.startswith("image_encoder.")}
    assert bool(of_encoder) == (part != "adapters")
    if part == "adapters":
        assert changed
        assert all(".transformer." in name and "_proj.weight" in name for name in changed)
        change = exported["mask_decoder.transformer.final_attn_token_to_image.q_proj.weight"]
        change = change - original["mask_decoder.transformer.final_attn_token_to_image.q_proj.weight"]
        assert int(torch.linalg.matrix_rank(change, atol=1e-5)) <= 4
    assert (tmp_path / "cache").exists() == (part == "adapters")


def test_the_unchanged_model_is_never_given_out_as_improved(
    run: Callable[..., FinetuneResult], fresh: Callable[[], Segmenter], tmp_path: Path
) -> None:
    # With focal loss, the random decoder first learns to answer "all background".
    result = run(settings=replace(QUICK, rate=1e-2, epochs=9, patience=1))
    assert (result.outcome, result.best_epoch) == ("unchanged", 0)
    assert result.epochs < 9
    assert "unchanged" in result.verdict
    exported, original = load_file(result.model), fresh().state_dict()
    assert all(torch.equal(exported[name], value) for name, value in original.items())
    assert json.loads((tmp_path / "out" / "report.json").read_text())["ended"] == "patience"


def test_a_later_run_finds_its_embeddings(run: Callable[..., FinetuneResult], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []

    def note(stage: str, _done: int, _total: int, figures: dict[str, float]) -> None:
        if stage == finetune_module.STAGES[0]:
            made.append(figures["encoded"])

    run("first", progress=note)
    assert made[-1] == 4 * QUICK.views + 2
    made.clear()
    monkeypatch.setattr(Segmenter, "embed", lambda *_: pytest.fail("encoded again"))
    run("second", replace(QUICK, seed=1), progress=note)
    assert made[-1] == 0


def test_time_is_up(run: Callable[..., FinetuneResult], tmp_path: Path) -> None:
    run(settings=replace(QUICK, max_minutes=1e-6))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["ended"], report["steps"]) == ("minutes", 1)
    assert run(settings=replace(QUICK, max_minutes=5.0)).was_complete


def test_another_run_in_the_folder(run: Callable[..., FinetuneResult], tmp_path: Path) -> None:
    run()
    with pytest.raises(
        FinetuneError, match=r"out holds another run: its rate was 0\.003, now it is 0\.1; give another"
    ):
        run(settings=replace(QUICK, rate=0.1))
    with pytest.raises(FinetuneError, match="holds another run: its training data was"):
        run(max_images=2)
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"cut off")
    with pytest.raises(FinetuneError, match=r"cannot carry on from .*checkpoint\.pt, which is damaged"):
        run()
    torch.save({"model": {}}, tmp_path / "out" / "checkpoint.pt")
    with pytest.raises(FinetuneError, match="is not of a fine-tuning run"):
        run()
    (tmp_path / "out" / "checkpoint.pt").unlink()
    with pytest.raises(FinetuneError, match=r"already holds a model\.safetensors"):
        run()
    (tmp_path / "file").touch()
    with pytest.raises(FinetuneError, match="is a file; give a folder"):
        run("file")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(AnymaskError, match="unknown model 'pockt'"):
        finetune(Squares("ab"), tmp_path / "nothing", model="pockt")
    assert not (tmp_path / "nothing").exists()


def test_what_is_measured_on_is_not_trained_on(run: Callable[..., FinetuneResult]) -> None:
    with pytest.raises(FinetuneError, match=r"c\.png would be trained on, and is c\.png of the images to measure on"):
        run(validation=Squares("xc"))


def test_data_with_mistakes(tiny_coco: Path, tmp_path: Path, fresh: Callable[[], Segmenter]) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_coco, folder)
    assert cv2.imwrite(str(folder / "images" / "scene-3.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"scene-3\.png is 30 x 20, but its annotations are for 96 x 80"):
        finetune(folder, tmp_path / "out", model=fresh(), validation_share=0.3, cache=tmp_path / "cache")
    (folder / "images" / "scene-3.png").write_bytes(b"broken")
    with pytest.raises(DatasetError, match=r"cannot read the image .*scene-3\.png"):
        finetune(folder, tmp_path / "out", model=fresh(), validation_share=0.3, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": "encoder"}, "train must be one of decoder, adapters, encoder-adapters, everything, not 'encoder'"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"max_minutes": -1.0}, "max_minutes must be above 0"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
    ],
)
def test_wrong_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(FinetuneError, match=message):
        FinetuneSettings(**wrong)  # type: ignore[arg-type]
