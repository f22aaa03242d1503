"""The training loop: phases of steps, with checkpoints that resume exactly."""

from __future__ import annotations

import csv
import math
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from anymask.atomic import write_atomically
from anymask.formats.datasets import CocoDataset, InstanceDataset, Sa1bDataset
from anymask.models.checkpoints import CheckpointError, load_into, load_state_dict
from anymask.models.registry import build_model
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam
from anymask.segment.segmenter import choose_device, choose_precision
from anymask.train.batches import Batch, BatchStream, WeightedDataset
from anymask.train.config import ConfigError, DataConfig, PhaseConfig, TrainConfig
from anymask.train.dense import DenseObjective
from anymask.train.initialise import initialise_decoder
from anymask.train.interactive import interactive_loss
from anymask.train.processes import Processes
from anymask.train.synthetic_dataset import SyntheticDataset

LOG_COLUMNS = (
    "phase", "step", "seconds", "rate", "loss", "first_iou", "box_iou", "last_iou", "iou_error", "gradient"
)  # fmt: skip

Progress = Callable[[dict[str, float], int, int], None]


def open_dataset(config: DataConfig, cache_bytes: int) -> InstanceDataset:
    """Open one data set of a configuration."""
    if config.kind == "synthetic":
        return SyntheticDataset(size=config.size, seed=config.seed)
    if not config.path:
        raise ConfigError(f"a data set of kind {config.kind} needs a path")
    if config.kind == "sa1b":
        return Sa1bDataset(config.path, split=config.split, cache_bytes=cache_bytes)
    return CocoDataset(
        config.path,
        config.images,
        split=config.split,
        cache_bytes=cache_bytes,
        only_exhaustive=config.only_exhaustive,
    )


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a flag, so that a checkpoint is written before leaving.

    A later one interrupts at once; but not within two seconds, because Ctrl-C under ``torchrun`` reaches a process
    twice, from the terminal and from its parent.
    """
    stopped: list[float] = []

    def note(_number: int, _frame: FrameType | None) -> None:
        if stopped and time.monotonic() - stopped[0] > 2:
            raise KeyboardInterrupt
        stopped.append(time.monotonic())

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(stopped)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Trainer:
    """Trains a model as a configuration says.

    Args:
        config: the configuration.
        report: called after every logged step with the row, the steps done and the steps in all.
    """

    def __init__(self, config: TrainConfig, report: Progress | None = None) -> None:
        self.config = config
        self.report = report
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device = choose_device(config.device)
        self.processes = Processes.join(self.device)
        self.precision = choose_precision(config.precision, self.device)
        torch.manual_seed(config.seed)
        self.model = build_model(config.model, config.phases[0].image_size).to(self.device)
        initialise_decoder(self.model.prompt_encoder, self.model.mask_decoder)
        if config.initial is not None:
            load_into(self.model, load_state_dict(config.initial), config.model, config.initial)
        self.dense = DenseObjective(self.model.prompt_encoder, self.model.mask_decoder).to(self.device)
        self.average = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        cache = int(config.cache_gigabytes * 2**30 / max(1, len(config.data)))
        self.datasets = [
            WeightedDataset(open_dataset(entry, cache), entry.weight, entry.paste) for entry in config.data
        ]
        self.generator = torch.Generator()
        self.phase, self.step, self.seconds = 0, 0, 0.0
        self.rows: list[dict[str, float]] = []
        """What the steps since the last row of the log reported."""
        self.optimizer: torch.optim.Optimizer | None = None
        self._resume()

    @property
    def checkpoint(self) -> Path:
        """The file from which a run resumes."""
        return self.folder / "checkpoint.pt"

    def _resume(self) -> None:
        if self.checkpoint.is_file():
            try:
                self._restore(torch.load(self.checkpoint, map_location="cpu", weights_only=True))
            except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
                reason = next(iter(str(error).splitlines()), "it ends too early")
                raise CheckpointError(
                    f"cannot carry on from {self.checkpoint}, which is damaged or of another configuration: "
                    f"{reason}; give another output folder, or delete it to begin anew"
                ) from error
        self._cut_log()

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average = {key: value.to(self.device) for key, value in state["average"].items()}
        self.dense.load_state_dict(state["dense"], strict=False)
        self.phase, self.step, self.seconds = state["phase"], state["step"], state["seconds"]
        self.rows = state.get("rows", [])
        if self.phase < len(self.config.phases) and state["optimizer"] is not None:
            self.optimizer = self._new_optimizer(self.config.phases[self.phase])
            self.optimizer.load_state_dict(state["optimizer"])

    def _cut_log(self) -> None:
        """Drop rows that were logged after the checkpoint: they are going to be logged again."""
        path = self.folder / "log.csv"
        if not path.is_file() or self.processes.rank > 0:
            return
        with path.open(newline="") as file:
            # A row that a crash cut short lacks columns.
            rows = [
                row
                for row in csv.DictReader(file)
                if None not in row.values() and (int(row["phase"]), int(row["step"])) <= (self.phase, self.step)
            ]

        def write(target: Path) -> None:
            with target.open("w", newline="") as file:
                writer = csv.DictWriter(file, LOG_COLUMNS)
                writer.writeheader()
                writer.writerows(rows)

        write_atomically(path, write)

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each at once or not at all; process 0 alone does it."""
        if self.processes.rank > 0:
            return
        heads = {
            key: value
            for key, value in self.dense.state_dict().items()
            if not key.startswith(("prompt_encoder.", "mask_decoder."))
        }
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "dense": heads,
            "phase": self.phase,
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
        }
        write_atomically(self.checkpoint, lambda path: torch.save(state, path))
        self.export(self.folder / "model.safetensors")

    def export(self, path: Path) -> None:
        """Write the averaged weights as safetensors; running statistics stay float32, the rest is float16."""
        tensors = {}
        for key, value in self.average.items():
            keep = not value.is_floating_point() or "running_" in key or "gaussian_matrix" in key
            tensors[key] = (value if keep else value.half()).cpu().contiguous()
        metadata = {"model": self.config.model, "format": "pt"}
        write_atomically(path, lambda target: save_file(tensors, target, metadata=metadata))

    def _parameters(self, phase: PhaseConfig) -> list[dict[str, Any]]:
        encoder = list(self.model.image_encoder.parameters())
        if phase.objective == "dense":
            used = (
                "place.",
                "query.",
                "mask_decoder.output_upscaling.",
                "mask_decoder.output_hypernetworks_mlps.",
            )
            rest = [value for key, value in self.dense.named_parameters() if key.startswith(used)]
        else:
            # The dense objective holds the prompt encoder and the mask decoder.
            rest = list(self.dense.parameters())
        groups = []
        for parameters, factor in ((encoder, phase.encoder_rate), (rest, 1.0)):
            if factor == 0:
                continue
            # Norms, biases and learned tokens are not decayed.
            matrices = [value for value in parameters if value.ndim > 1 and value.shape[0] > 4]
            others = [value for value in parameters if not (value.ndim > 1 and value.shape[0] > 4)]
            groups.append({"params": matrices, "weight_decay": phase.weight_decay, "factor": factor})
            groups.append({"params": others, "weight_decay": 0.0, "factor": factor})
        return groups

    def _new_optimizer(self, phase: PhaseConfig) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self._parameters(phase), lr=phase.learning_rate, betas=phase.betas)

    def _set_rate(self, phase: PhaseConfig) -> float:
        warm = min(1.0, (self.step + 1) / max(1, phase.warmup))
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / phase.steps))
        rate = phase.learning_rate * warm * (phase.final_rate + (1 - phase.final_rate) * cosine)
        assert self.optimizer is not None
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        return rate

    def _set_size(self, side: int) -> None:
        """Let the prompt encoder count in views of another side; no weight depends on it."""
        encoder = self.model.prompt_encoder
        encoder.input_image_size = (side, side)
        encoder.image_embedding_size = (side // 16, side // 16)
        encoder.mask_input_size = (side // 4, side // 4)

    def _backward(self, phase: PhaseConfig, batch: Batch) -> dict[str, float]:
        """Run one batch forwards and backwards; gradients are left in the parameters."""
        images = batch.images.to(self.device)
        targets = [target.to(self.device) for target in batch.targets]
        train_encoder = phase.encoder_rate > 0
        reported: dict[str, float]
        self.model.image_encoder.train(train_encoder)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            with torch.set_grad_enabled(train_encoder):
                embedding: Tensor = self.model.image_encoder(images)
            if phase.objective == "dense":
                loss, reported = self.dense(embedding, targets, self.generator)
            else:
                leaf = embedding.detach().requires_grad_(train_encoder)
                if phase.dense_weight > 0:
                    dense_loss, _ = self.dense(leaf, targets, self.generator)
                    (phase.dense_weight * dense_loss).backward()
                rows = [
                    interactive_loss(
                        leaf[i : i + 1],
                        targets[i],
                        batch.boxes[i].to(self.device),
                        self.model.prompt_encoder,
                        self.model.mask_decoder,
                        phase.interaction,
                        self.generator,
                        weight=1 / len(targets),
                    )
                    for i in range(len(targets))
                ]
                reported = {key: float(torch.stack([row[key] for row in rows]).nanmean()) for key in rows[0]}
        if phase.objective == "dense":
            torch.autograd.backward(loss)
            return {"loss": float(loss.detach()), "first_iou": reported["iou"]}
        if train_encoder:
            torch.autograd.backward(embedding, leaf.grad)
        return reported

    @torch.no_grad()
    def _update_average(self) -> None:
        done = self.step + sum(phase.steps for phase in self.config.phases[: self.phase])
        # A short memory at the start lets the average leave the random weights quickly.
        decay = min(self.config.ema, (1 + done) / (10 + done))
        for key, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - decay)
            else:
                self.average[key].copy_(value)

    def train(self) -> bool:
        """Run to the end, or until SIGINT or SIGTERM asks to stop.

        Returns:
            Whether the run is complete; if not, the same call on the same folder carries on.
        """
        with _stop_requests() as stopping:
            while self.phase < len(self.config.phases):
                if not self._train_phase(self.config.phases[self.phase], stopping):
                    self.save()
                    return False
                self.phase, self.step, self.optimizer = self.phase + 1, 0, None
                self.save()
        return True

    def _train_phase(self, phase: PhaseConfig, stopping: Callable[[], bool]) -> bool:
        if self.optimizer is None:
            self.optimizer = self._new_optimizer(phase)
        self._set_size(phase.image_size)
        stream = BatchStream(
            self.datasets,
            side=phase.image_size,
            batch_size=phase.batch_size,
            max_masks=phase.max_masks,
            augmentation=phase.augmentation,
            seed=self.config.seed * 1000 + self.phase,
            mean=PIXEL_MEAN,
            std=PIXEL_STD,
            threads=self.config.threads,
            share=(self.processes.rank, self.processes.count),
        )
        begun = time.monotonic()
        parameters = [value for group in self.optimizer.param_groups for value in group["params"]]
        for batch in stream.iterate(self.step, phase.steps):
            rate = self._set_rate(phase)
            self.optimizer.zero_grad(set_to_none=True)
            # Clicks depend on nothing but the step, so that a resumed run makes the same ones.
            self.generator.manual_seed(hash((self.config.seed, self.phase, self.step, self.processes.rank)))
            row = self._backward(phase, batch)
            stop = self.processes.average_gradients(parameters, stopping())
            norm = nn.utils.clip_grad_norm_(parameters, phase.clip)
            # One poisoned batch must not cost a night of training.
            if torch.isfinite(norm):
                self.optimizer.step()
            self.step += 1
            self._update_average()
            self.rows.append(row | {"gradient": float(norm), "rate": rate})
            if self.step % self.config.log_every == 0 or self.step == phase.steps:
                self.seconds, begun = self.seconds + time.monotonic() - begun, time.monotonic()
                self._log(self.rows)
                self.rows = []
            if stop:
                self.seconds += time.monotonic() - begun
                return False
            if self.step % self.config.checkpoint_every == 0:
                self.save()
        return True

    def _log(self, rows: list[dict[str, float]]) -> None:
        if self.processes.rank > 0:
            return
        means: dict[str, float] = {}
        for key in LOG_COLUMNS[3:]:
            values = [row[key] for row in rows if key in row and math.isfinite(row[key])]
            if values:
                means[key] = sum(values) / len(values)
        row = {"phase": self.phase, "step": self.step, "seconds": self.seconds} | means
        path = self.folder / "log.csv"
        new = not path.is_file()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, LOG_COLUMNS)
            if new:
                writer.writeheader()
            # Whole numbers stay whole: a millionth step must not become 1e+06.
            writer.writerow({key: value if isinstance(value, int) else f"{value:.6g}" for key, value in row.items()})
        if self.report is not None:
            done = self.step + sum(phase.steps for phase in self.config.phases[: self.phase])
            self.report(row, done, sum(phase.steps for phase in self.config.phases))


def train(config: TrainConfig, report: Progress | None = None) -> tuple[bool, Sam]:
    """Train as ``config`` says, resuming where its output folder has a checkpoint.

    Args:
        config: the configuration; see :func:`anymask.train.config.load_config`.
        report: called with each logged row, the steps done and the steps in all.

    Returns:
        Whether the run is complete, and the model with its current weights.
    """
    trainer = Trainer(config, report)
    return trainer.train(), trainer.model
