"""The training loop: phases of steps, with checkpoints that resume exactly."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError
from anymask.formats.datasets import CocoDataset, InstanceDataset
from anymask.formats.datasets import open_dataset as open_annotated
from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import build_model
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam
from anymask.segment.segmenter import choose_device, choose_precision
from anymask.train.batch_norm import share_batch_norm
from anymask.train.batches import BatchStream, WeightedDataset
from anymask.train.config import ConfigError, DataConfig, PhaseConfig, TrainConfig
from anymask.train.dense import DenseObjective
from anymask.train.initialise import initialise_decoder, load_initial
from anymask.train.log import append_to_log, cut_log
from anymask.train.memory import keep_freed_memory
from anymask.train.optimizer import build_optimizer, parameter_groups
from anymask.train.processes import Processes
from anymask.train.schedule import rate_factor
from anymask.train.step import FIGURES, TrainingStep, check_encoder
from anymask.train.stopping import stop_requests
from anymask.train.synthetic_dataset import SyntheticDataset

# So many steps in a row without a finite gradient are no accident.
_GIVE_UP_AFTER = 50

Progress = Callable[[dict[str, float], int, int], None]


def open_dataset(config: DataConfig, cache_bytes: int) -> InstanceDataset:
    """Open one data set of a configuration."""
    if config.kind == "synthetic":
        return SyntheticDataset(size=config.size, seed=config.seed)
    if not config.path:
        raise ConfigError(f"a data set of kind {config.kind} needs a path")
    if config.only_exhaustive:
        if config.kind != "coco":
            raise ConfigError(f"only_exhaustive is for data sets of kind coco, not {config.kind}")
        return CocoDataset(
            config.path, config.images, split=config.split, cache_bytes=cache_bytes, only_exhaustive=True
        )
    return open_annotated(config.path, config.kind, images=config.images, split=config.split, cache_bytes=cache_bytes)


class DivergedError(AnymaskError, ArithmeticError):
    """Training produces no finite gradients any more."""


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
        if self.device.type == "cpu":
            keep_freed_memory()
        self.precision = choose_precision(config.precision, self.device)
        torch.manual_seed(config.seed)
        self.model = build_model(config.model, config.phases[0].image_size).to(self.device)
        if config.decoder_start == "matching":
            initialise_decoder(self.model.prompt_encoder, self.model.mask_decoder)
        self.beginning = ""
        """Which weights the run begins with, in one line; "" for random ones and for a run that carries on."""
        if config.initial is not None and not self.checkpoint.is_file():
            self.beginning = load_initial(self.model, config.initial, config.model)
        check_encoder(self.model.image_encoder, config.phases)
        if self.processes.count > 1:
            share_batch_norm(self.model.image_encoder, self.device)
        self.dense = DenseObjective(self.model.prompt_encoder, self.model.mask_decoder).to(self.device)
        for phase in config.phases:
            parameter_groups(self.model.image_encoder, self.dense, phase)
        self.average = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        cache = int(config.cache_gigabytes * 2**30 / max(1, len(config.data)))
        self.datasets = [
            WeightedDataset(open_dataset(entry, cache), entry.weight, entry.paste) for entry in config.data
        ]
        self.phase, self.step, self.seconds = 0, 0, 0.0
        self.rows: list[dict[str, float]] = []
        """What the steps since the last row of the log reported."""
        self.optimizer: torch.optim.Optimizer | None = None
        self.skipped = 0
        """How many steps in a row had no finite gradient."""
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
        with self.processes.together():
            places = self.processes.gather(torch.tensor([self.phase, self.step]))
        if (places != places[0]).any():
            raise CheckpointError(
                f"the processes of this run do not carry on from the same place (phase, step: {places.tolist()}): "
                f"the output folder {self.folder} must be one that all machines share"
            )
        if self.processes.rank == 0:
            cut_log(self.folder / "log.csv", self.phase, self.step)

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average = {key: value.to(self.device) for key, value in state["average"].items()}
        self.dense.load_state_dict(state["dense"], strict=False)
        self.phase, self.step, self.seconds = state["phase"], state["step"], state["seconds"]
        self.rows = state.get("rows", [])
        if self.phase < len(self.config.phases) and state["optimizer"] is not None:
            self.optimizer = build_optimizer(self.model.image_encoder, self.dense, self.config.phases[self.phase])
            self.optimizer.load_state_dict(state["optimizer"])

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
        with stop_requests() as stopping, self.processes.together():
            while self.phase < len(self.config.phases):
                if not self._train_phase(self.config.phases[self.phase], stopping):
                    self.save()
                    return False
                self.phase, self.step, self.optimizer = self.phase + 1, 0, None
                self.save()
        return True

    def _stream(self, phase: PhaseConfig) -> BatchStream:
        return BatchStream(
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
            parts=phase.accumulate,
        )

    def _train_phase(self, phase: PhaseConfig, stopping: Callable[[], bool]) -> bool:
        step = TrainingStep(self.model, self.dense, phase, (self.config.seed, self.phase), self.device, self.precision)
        step.prepare()
        if self.optimizer is None:
            self.optimizer = build_optimizer(self.model.image_encoder, self.dense, phase)
        begun = time.monotonic()
        batches = self._stream(phase).iterate(self.step, phase.steps)
        for parts in zip(*[batches] * phase.accumulate, strict=True):
            self.optimizer.zero_grad(set_to_none=True)
            statistics = [buffer.clone() for buffer in self.model.image_encoder.buffers()]
            figures = torch.cat([step.backward(part, self.step) for part in parts])
            row, stop = self._exchange(figures, stopping())
            row |= self._update(phase, statistics)
            self.step += 1
            self.rows.append(row)
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

    def _exchange(self, figures: Tensor, stopping: bool) -> tuple[dict[str, float], bool]:
        """Give the means over the images of all processes, and whether any process was asked to stop."""
        figures = figures.cpu().double()
        seen = figures.isfinite()
        sums = torch.where(seen, figures, 0.0).sum(0)
        exchanged = self.processes.sum_figures(torch.cat([sums, seen.sum(0), sums.new_tensor([float(stopping)])]))
        *pairs, stop = exchanged.tolist()
        totals, counts = pairs[: len(FIGURES)], pairs[len(FIGURES) :]
        means = {key: total / count for key, total, count in zip(FIGURES, totals, counts, strict=True) if count}
        return means, stop > 0

    def _update(self, phase: PhaseConfig, statistics: list[Tensor]) -> dict[str, float]:
        """Take one step of the optimiser with the gradients of all processes.

        Args:
            phase: the phase.
            statistics: the encoder's buffers before the step, which come back where the gradient is not finite.
        """
        assert self.optimizer is not None
        rate = phase.learning_rate * rate_factor(phase, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        parameters = [value for group in self.optimizer.param_groups for value in group["params"]]
        self.processes.sum_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, phase.clip or math.inf)
        # One poisoned batch must not cost a night of training.
        if torch.isfinite(norm):
            self.optimizer.step()
            self._update_average()
            self.skipped = 0
        else:
            for buffer, before in zip(self.model.image_encoder.buffers(), statistics, strict=True):
                buffer.copy_(before)
            self.skipped += 1
            if self.skipped == _GIVE_UP_AFTER:
                raise DivergedError(
                    f"{self.skipped} steps in a row had no finite gradient, the last one step {self.step} of phase "
                    f"{self.phase}: lower learning_rate or clip, or look for broken images. "
                    f"{self.checkpoint} is as it was"
                )
        return {"gradient": float(norm), "rate": rate}

    def _log(self, rows: list[dict[str, float]]) -> None:
        if self.processes.rank > 0:
            return
        means: dict[str, float] = {}
        for key in (*FIGURES, "gradient", "rate"):
            values = [row[key] for row in rows if key in row and math.isfinite(row[key])]
            if values:
                means[key] = sum(values) / len(values)
        row = {"phase": self.phase, "step": self.step, "seconds": self.seconds} | means
        append_to_log(self.folder / "log.csv", row)
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
