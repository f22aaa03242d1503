"""Fine-tuning: a model and annotated images in, a better model and the proof of it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from safetensors.torch import save_file

from anymask.atomic import write_atomically
from anymask.evaluate.clicks import evaluate_clicks
from anymask.evaluate.report import ClickReport, MaskRow
from anymask.formats.datasets import InstanceDataset
from anymask.models.checkpoints import CheckpointError
from anymask.models.locations import weights_folder
from anymask.segment.segmenter import Segmenter, load
from anymask.train.contact_sheet import draw_contact_sheet
from anymask.train.embeddings import EmbeddingCache
from anymask.train.finetune_loop import FinetuneLoop
from anymask.train.finetune_samples import Samples
from anymask.train.finetune_settings import FinetuneError, FinetuneSettings
from anymask.train.gain import Gain, compare, gain_table, judge, most_to_least
from anymask.train.holdout import split_dataset
from anymask.train.log import write_table
from anymask.train.memory import keep_freed_memory
from anymask.train.stopping import stop_requests

__all__ = ["STAGES", "FinetuneError", "FinetuneResult", "FinetuneSettings", "Progress", "embeddings_folder", "finetune"]

CLICKS = 5
"""Clicks a mask in the measurement before and after."""

SHEET_IMAGES = 6

STAGES = ("reading and encoding", "measuring before", "training", "measuring after")
"""What a run does, in this order."""

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with the stage, how much of it is done, how much there is, and figures."""

_VERDICTS = {
    "better": "The fine-tuned model is better.",
    "unclear": "The fine-tuned model is better on average, but the interval does not rule out chance: measure on more "
    "images.",
    "unchanged": "Fine-tuning made nothing better: the exported model is the one that you started with, unchanged.",
    "stopped": "Stopped; the same command carries on. The exported model is the best so far, not yet measured in full.",
}


@dataclass(frozen=True)
class FinetuneResult:
    """What a run left behind.

    Attributes:
        outcome: "better", "unclear" (better on average, but it may be chance), "unchanged" (nothing was gained, and
            the model is the one given) or "stopped" (the same call carries on).
        model: the exported weights, which :func:`anymask.load` reads.
        gains: figure by figure, before and after; empty where the run was stopped.
        epochs: done.
        best_epoch: whose weights were kept; 0 is the model as it was.
        seconds: of training.
        images: trained on and measured on.
        was_complete: whether there was nothing left to do.
    """

    outcome: str
    model: Path
    gains: dict[str, Gain]
    epochs: int
    best_epoch: int
    seconds: float
    images: tuple[int, int]
    was_complete: bool = False

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        return _VERDICTS[self.outcome]

    def table(self) -> Table:
        """Return the gains as a table for the terminal."""
        return gain_table(self.gains, f"{self.images[1]} validation images, {self.images[0]} trained on")


def embeddings_folder() -> Path:
    """Return where embeddings are kept unless told otherwise: ``embeddings`` in the folder of downloaded weights."""
    return weights_folder() / "embeddings"


def finetune(
    data: str | Path | InstanceDataset,
    output: str | Path,
    *,
    model: str | Path | Segmenter = "pocket",
    settings: FinetuneSettings | None = None,
    validation: str | Path | InstanceDataset | None = None,
    validation_share: float | None = None,
    kind: str = "auto",
    images: str | Path | None = None,
    objects: str = "auto",
    max_images: int | None = None,
    max_validation: int | None = None,
    cache: str | Path | None = None,
    cache_gigabytes: float = 20.0,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> FinetuneResult:
    """Fine-tune a model on annotated images, and measure what that gained.

    The output folder gets ``model.safetensors``, ``report.json``, ``before-after.png``, ``log.csv`` and
    ``checkpoint.pt``, from which the same call carries on after it was stopped or killed.

    Args:
        data: a data set, or a path for :func:`anymask.formats.datasets.open_dataset`.
        output: the folder to write to.
        model: a name, a checkpoint file, or a loaded model (whose network is then trained in place).
        settings: how the run goes.
        validation: what to measure on; part of ``data`` where left out.
        validation_share: of ``data`` to hold back; the tenth by CRC-32 of the names where left out.
        kind: layout of ``data``.
        images: image folder of a COCO file.
        objects: what a mask picture holds.
        max_images: images trained on at most.
        max_validation: images measured on at most.
        cache: where embeddings are kept; :func:`embeddings_folder` where left out.
        cache_gigabytes: what all embeddings there may take, in GiB.
        device: "auto", "cpu", "cuda", "mps".
        precision: "auto", "float32" or "bfloat16".
        progress: called along the way.

    Raises:
        FinetuneError: a setting is wrong, the output folder is of another run, or an image is in both parts.
        DatasetError: a data set cannot be read, or a part of it is empty.
        CheckpointError: the model's weights are missing or damaged.
        EmbeddingCacheError: the embeddings do not fit into the cache.
    """
    settings = settings or FinetuneSettings()
    tell = progress or (lambda *_: None)
    folder = _claim(Path(output))
    # A mistyped model should be said before the data is read.
    segmenter = model if isinstance(model, Segmenter) else load(model, device=device, precision=precision)
    if segmenter.device.type == "cpu":
        keep_freed_memory()
    training, held_out = split_dataset(
        data,
        kind=kind,
        images=images,
        objects=objects,
        validation=validation,
        share=validation_share,
        max_images=max_images,
        max_validation=max_validation,
    )
    stored = None
    if not settings.trains_encoder:
        where = embeddings_folder() if cache is None else Path(cache).expanduser()
        stored = EmbeddingCache(segmenter, where, int(cache_gigabytes * 2**30))
    folder.mkdir(parents=True, exist_ok=True)
    samples = Samples(
        training,
        held_out,
        segmenter.input_side,
        settings,
        stored,
        lambda done, total, made: tell(STAGES[0], done, total, {"encoded": made}),
    )
    loop = FinetuneLoop(segmenter, samples, held_out, settings, stored, folder / "checkpoint.pt")
    run = _Run(folder, loop, str(data) if isinstance(data, str | Path) else "a data set", settings, tell)
    return run.go()


def _claim(folder: Path) -> Path:
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise FinetuneError(f"the output {folder} is a file; give a folder")
    if (folder / "model.safetensors").exists() and not (folder / "checkpoint.pt").exists():
        raise FinetuneError(
            f"{folder} already holds a model.safetensors that is not of an unfinished run; give another output folder"
        )
    return folder


class _Run:
    """One run from the model as it was to the report."""

    def __init__(self, folder: Path, loop: FinetuneLoop, data: str, settings: FinetuneSettings, tell: Progress) -> None:
        self.folder, self.loop, self.data, self.settings, self.tell = folder, loop, data, settings, tell

    def go(self) -> FinetuneResult:
        loop, report = self.loop, self.folder / "report.json"
        if loop.ended is not None and report.is_file() and (self.folder / "model.safetensors").is_file():
            content = json.loads(report.read_text(encoding="utf-8"))
            if content.get("outcome") != "stopped":
                gains = {key: Gain.from_dict(value) for key, value in content["figures"].items()}
                return replace(self._result(content["outcome"], gains), was_complete=True)
        if loop.before is None:
            before = self._measure(loop.with_weights(loop.initial), STAGES[1])
            loop.before = before.to_dict(rows=True)["rows"]
            loop.save()
        with stop_requests() as stopping:
            complete = loop.train(self._after_step, stopping)
        self._write_log()
        if not complete:
            return self._finish("stopped", {}, loop.best if loop.best_epoch > 0 else None)
        return self._conclude()

    def _after_step(self, done: int, total: int, figures: dict[str, float]) -> None:
        if "validation_score" in figures:
            self._write_log()
        best = {"best": self.loop.best_score, "epoch": self.loop.epoch}
        self.tell(STAGES[2], done, total, figures | best)

    def _measure(self, segmenter: Segmenter, stage: str) -> ClickReport:
        return evaluate_clicks(
            self.loop.measurable(segmenter),
            self.loop.validation,
            max_clicks=CLICKS,
            thresholds=(),
            max_masks_per_image=self.settings.validation_masks,
            baselines=False,
            data_name=self.data,
            progress=lambda done, total: self.tell(stage, done, total, {}),
        )

    def _conclude(self) -> FinetuneResult:
        """Measure the best weights in full, keep the better model, and draw what changed."""
        loop = self.loop
        assert loop.before is not None
        original, tuned = loop.with_weights(loop.initial), loop.with_weights(loop.best)
        after = self._measure(tuned, STAGES[3])
        before = ClickReport(after.model, after.data, after.settings, [_read_row(row) for row in loop.before])
        gains = compare(before, after)
        outcome = "unchanged" if loop.best_epoch == 0 else judge(gains["overall"])
        names = most_to_least(before.rows, after.rows, SHEET_IMAGES)
        draw_contact_sheet(
            loop.validation, names, loop.measurable(original), loop.measurable(tuned), self.folder / "before-after.png"
        )
        return self._finish(outcome, gains, None if outcome == "unchanged" else loop.best)

    def _finish(self, outcome: str, gains: dict[str, Gain], weights: dict[str, Any] | None) -> FinetuneResult:
        loop = self.loop
        segmenter = loop.with_weights(loop.initial if weights is None else weights)
        export(segmenter, self.folder / "model.safetensors")
        result = self._result(outcome, gains)
        content = {
            "format": "anymask-finetune-report",
            "version": 1,
            "outcome": outcome,
            "verdict": result.verdict,
            "model": loop.segmenter.name,
            "data": self.data,
            "images": {"trained on": result.images[0], "measured on": result.images[1]},
            "masks measured": 0 if loop.before is None else len(loop.before),
            "settings": asdict(self.settings),
            "ended": loop.ended,
            "epochs": loop.epoch,
            "best_epoch": loop.best_epoch,
            "steps": loop.step,
            "seconds": round(loop.seconds, 1),
            "figures": {key: gain.to_dict() for key, gain in gains.items()},
            "history": loop.history,
        }
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        write_atomically(self.folder / "report.json", lambda path: path.write_text(text, encoding="utf-8"))
        return result

    def _result(self, outcome: str, gains: dict[str, Gain]) -> FinetuneResult:
        loop = self.loop
        return FinetuneResult(
            outcome=outcome,
            model=self.folder / "model.safetensors",
            gains=gains,
            epochs=loop.epoch,
            best_epoch=loop.best_epoch,
            seconds=loop.seconds,
            images=(len(loop.samples), len(loop.validation)),
        )

    def _write_log(self) -> None:
        columns = list(dict.fromkeys(key for row in self.loop.history for key in row))
        write_table(self.folder / "log.csv", columns, self.loop.history)


def _read_row(content: dict[str, Any]) -> MaskRow:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return MaskRow(**values)


def export(segmenter: Segmenter, path: Path) -> None:
    """Write a model's weights as safetensors.

    Args:
        segmenter: the model.
        path: the file, which :func:`anymask.load` reads; where the network is the caller's own and could not be built
            from a file, it holds the bare state dict.
    """
    try:
        segmenter.save(path)
    except CheckpointError:
        state = {key: value.detach().cpu().contiguous() for key, value in segmenter.state_dict().items()}
        write_atomically(path, lambda beside: save_file(state, beside, metadata={"format": "pt"}))
