"""The steps of fine-tuning: what is trained, how it is measured on the way, and what a checkpoint holds."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anymask.atomic import write_atomically
from anymask.evaluate.clicks import PromptedSegmenter, evaluate_clicks
from anymask.formats.datasets import InstanceDataset
from anymask.models.sam import Sam
from anymask.segment.segmenter import Segmenter
from anymask.train.adapters import LowRankAdapters, attention_weights
from anymask.train.embeddings import CachedSegmenter, EmbeddingCache
from anymask.train.finetune_samples import Samples, Shown
from anymask.train.finetune_settings import FinetuneError, FinetuneSettings
from anymask.train.interactive import interactive_loss
from anymask.train.optimizer import split_decayed

QUICK_IMAGES, QUICK_MASKS, QUICK_CLICKS = 24, 6, 3
"""What the validation after each epoch looks at."""

CHECKPOINT_SECONDS = 60.0

_WARM_UP, _FINAL_RATE, _CLIP = 0.05, 0.05, 1.0

EpochReport = Callable[[int, int, dict[str, float]], None]
"""Called with the steps done, the steps in all, and figures (``loss`` and so on; ``seconds_left``)."""


def model_hash(network: Sam) -> str:
    """Return a short hash of a model's prompt encoder and mask decoder, and of some of each encoder tensor."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        numbers = value.detach().flatten()
        if key.startswith("image_encoder."):
            numbers = numbers[:64]
        digest.update(key.encode())
        digest.update(numbers.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _trained_weights(network: Sam, train: str) -> dict[str, nn.Parameter]:
    """Find the weights that change, by their name in the network."""
    if train == "everything":
        return dict(network.named_parameters())
    if train == "decoder":
        return {name: value for name, value in network.named_parameters() if not name.startswith("image_encoder.")}
    parts = ("mask_decoder",) if train == "adapters" else ("mask_decoder", "image_encoder")
    return {
        f"{part}.{name}": value
        for part in parts
        for name, value in attention_weights(network.get_submodule(part)).items()
    }


class FinetuneLoop:
    """Trains a model on prepared samples and keeps the best weights.

    Args:
        segmenter: the model; its network is trained in place.
        samples: what it is trained on.
        validation: what it is measured on.
        settings: how the run goes.
        cache: embeddings of the frozen encoder; None where it is trained.
        checkpoint: the file from which a run resumes.

    Raises:
        FinetuneError: the checkpoint is damaged or of another run.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        samples: Samples,
        validation: InstanceDataset,
        settings: FinetuneSettings,
        cache: EmbeddingCache | None,
        checkpoint: Path,
    ) -> None:
        self.segmenter, self.samples, self.validation = segmenter, samples, validation
        self.settings, self.cache, self.checkpoint = settings, cache, checkpoint
        network = segmenter.network
        self.identity = _identity(settings, model_hash(network), samples)
        network.requires_grad_(False)
        # Running statistics of a few images would be worse than those of the training that came before.
        network.eval()
        self.weights = _trained_weights(network, settings.train)
        for weight in self.weights.values():
            weight.requires_grad_(True)
        self.initial = self._copy_weights()
        self.adapters: LowRankAdapters | None = None
        if "adapters" in settings.train:
            generator = torch.Generator().manual_seed(settings.seed)
            self.adapters = LowRankAdapters(self.weights, settings.rank, 1.0, generator)
        self.optimizer = torch.optim.AdamW(self._groups(), lr=settings.peak_rate, betas=(0.9, 0.98))
        self.average = self._copy_weights()
        self.best = self._copy_weights()
        self.best_score, self.best_epoch = -math.inf, 0
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.rows: list[dict[str, float]] = []
        """What the steps of the epoch so far reported."""
        self.ended: str | None = None
        """Why training is over: "epochs", "patience" or "minutes"; None while it is not."""
        self.before: list[dict[str, Any]] | None = None
        """The rows of the evaluation of the model as it was."""
        self.generator = torch.Generator()
        self._resume()

    def _copy_weights(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def _groups(self) -> list[dict[str, Any]]:
        if self.adapters is not None:
            return [{"params": list(self.adapters.parameters()), "weight_decay": 0.0, "factor": 1.0}]
        groups = []
        for of_encoder in (True, False):
            members = [value for name, value in self.weights.items() if name.startswith("image_encoder.") == of_encoder]
            factor = self.settings.encoder_rate if of_encoder else 1.0
            matrices, others = split_decayed(members)
            for some, decay in ((matrices, self.settings.weight_decay), (others, 0.0)):
                if some:
                    groups.append({"params": some, "weight_decay": decay, "factor": factor})
        return groups

    @property
    def steps_in_all(self) -> int:
        """Steps of all epochs."""
        return self.settings.epochs * self.samples.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Epochs done, one that was cut short included."""
        return -(-self.step // self.samples.steps_per_epoch)

    def with_weights(self, weights: dict[str, Tensor]) -> Segmenter:
        """Return a model of its own with these weights in place of the trained ones."""
        network = self.segmenter.network
        if self.settings.trains_encoder:
            copied = copy.deepcopy(network)
        else:
            copied = Sam(
                image_encoder=network.image_encoder,
                prompt_encoder=copy.deepcopy(network.prompt_encoder),
                mask_decoder=copy.deepcopy(network.mask_decoder),
                pixel_mean=network.pixel_mean.flatten().tolist(),
                pixel_std=network.pixel_std.flatten().tolist(),
            )
        parameters = dict(copied.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                parameters[name].copy_(value)
        precision = str(self.segmenter.precision).removeprefix("torch.")
        return Segmenter(copied, self.segmenter.name, self.segmenter.device, precision)

    def measurable(self, segmenter: Segmenter) -> PromptedSegmenter:
        """Return what the evaluation asks: the model, with embeddings from the cache where there is one."""
        return segmenter if self.cache is None else CachedSegmenter(segmenter, self.cache)

    def quick_scores(self, weights: dict[str, Tensor]) -> dict[str, float]:
        """Measure weights on part of the validation images: ``box``, ``click_1``, ``click_3``, their mean ``score``."""
        report = evaluate_clicks(
            self.measurable(self.with_weights(weights)),
            self.validation,
            max_clicks=QUICK_CLICKS,
            thresholds=(),
            max_images=QUICK_IMAGES,
            max_masks_per_image=QUICK_MASKS,
            baselines=False,
        )
        rows = report.rows
        scores = {
            "box": float(np.mean([row.box_iou for row in rows])),
            "click_1": float(np.mean([row.iou_after(1) for row in rows])),
            "click_3": float(np.mean([row.iou_after(3) for row in rows])),
        }
        return scores | {"score": sum(scores.values()) / len(scores)}

    def _set_rate(self) -> float:
        done = self.step / self.steps_in_all
        if self.settings.max_minutes is not None:
            done = max(done, self.seconds / (60 * self.settings.max_minutes))
        warm_up = min(50, max(1, round(_WARM_UP * self.steps_in_all)))
        warm = min(1.0, (self.step + 1) / warm_up)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        rate = self.settings.peak_rate * warm * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        return rate

    def _backward(self, batch: list[Shown]) -> dict[str, float]:
        """Run one batch forwards and backwards; gradients are left in the weights."""
        network, device = self.segmenter.network, self.segmenter.device
        precision = self.segmenter.precision
        rows = []
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            for shown in batch:
                if shown.embedding is None:
                    pixels = torch.from_numpy(shown.pixels).to(device).permute(2, 0, 1).float()
                    embedding: Tensor = network.image_encoder(network.preprocess(pixels)[None])
                    leaf = embedding.detach().float().requires_grad_(True)
                else:
                    leaf = shown.embedding
                row = interactive_loss(
                    leaf,
                    shown.targets.to(device),
                    shown.boxes.to(device),
                    network.prompt_encoder,
                    network.mask_decoder,
                    self.settings.interaction,
                    self.generator,
                    weight=1 / len(batch),
                )
                rows.append(row)
                if shown.embedding is None:
                    assert leaf.grad is not None
                    torch.autograd.backward(embedding, leaf.grad.to(embedding.dtype))
        return {key: float(torch.stack([row[key] for row in rows]).nanmean()) for key in rows[0]}

    def _take_step(self, batch: list[Shown]) -> None:
        rate = self._set_rate()
        for weight in self.weights.values():
            weight.grad = None
        # Clicks depend on nothing but the step, so that a resumed run makes the same ones.
        self.generator.manual_seed(self.settings.seed * 1_000_003 + self.step)
        row = self._backward(batch)
        if self.adapters is not None:
            self.adapters.take_gradients()
        parameters = [value for group in self.optimizer.param_groups for value in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, _CLIP)
        # One poisoned batch must not cost the run.
        if torch.isfinite(norm):
            self.optimizer.step()
        if self.adapters is not None:
            self.adapters.write()
        self.step += 1
        # A short memory at the start lets the average follow the first steps.
        decay = min(self.settings.ema, self.step / (9 + self.step))
        with torch.no_grad():
            for name, weight in self.weights.items():
                self.average[name].lerp_(weight, 1 - decay)
        self.rows.append(row | {"rate": rate})

    def _finish_epoch(self) -> dict[str, float]:
        scores = self.quick_scores(self.average)
        means = {
            key: sum(values) / len(values)
            for key in ("rate", "loss", "first_iou", "box_iou", "last_iou", "iou_error")
            if (values := [row[key] for row in self.rows if math.isfinite(row[key])])
        }
        self.rows = []
        if scores["score"] > self.best_score:
            self.best_score, self.best_epoch = scores["score"], self.epoch
            self.best = {name: value.clone() for name, value in self.average.items()}
        row = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds} | means
        row |= {f"validation_{key}": value for key, value in scores.items()}
        self.history.append(row)
        patience = self.settings.patience
        if self.step >= self.steps_in_all:
            self.ended = "epochs"
        elif patience and self.epoch - self.best_epoch >= patience:
            self.ended = "patience"
        return row

    def train(self, report: EpochReport, stopping: Callable[[], bool]) -> bool:
        """Run until training is over or ``stopping`` says so; a checkpoint is left either way.

        Returns:
            Whether training is over; if not, the same run carries on from the checkpoint.
        """
        if not self.history:
            scores = self.quick_scores(self.initial)
            self.best_score, self.best_epoch = scores["score"], 0
            start: dict[str, float] = {"epoch": 0, "step": 0, "seconds": 0.0}
            self.history.append(start | {f"validation_{key}": value for key, value in scores.items()})
            self.save()
        limit = math.inf if self.settings.max_minutes is None else 60 * self.settings.max_minutes
        begun, before, saved, from_step = time.monotonic(), self.seconds, time.monotonic(), self.step
        for batch in self.samples.batches(from_step, self.steps_in_all if self.ended is None else from_step):
            if stopping():
                self.save()
                return False
            self._take_step(batch)
            self.seconds = before + time.monotonic() - begun
            figures = dict(self.rows[-1])
            finished = self.step % self.samples.steps_per_epoch == 0
            over = self.seconds >= limit
            if finished or over:
                figures |= self._finish_epoch()
                self.seconds = before + time.monotonic() - begun
            if over and self.ended is None:
                self.ended = "minutes"
            left = (self.seconds - before) / (self.step - from_step) * (self.steps_in_all - self.step)
            figures["seconds_left"] = max(0.0, min(left, limit - self.seconds))
            report(self.step, self.steps_in_all, figures)
            if self.ended is not None or finished or time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
            if self.ended is not None:
                break
        return True

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "identity": self.identity,
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "average": self.average,
            "best": self.best,
            "adapters": None if self.adapters is None else self.adapters.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "rows": self.rows,
            "ended": self.ended,
            "before": self.before,
        }
        write_atomically(self.checkpoint, lambda path: torch.save(state, path))

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        try:
            state = torch.load(self.checkpoint, map_location=self.segmenter.device, weights_only=True)
            if not isinstance(state, dict) or "identity" not in state:
                raise FinetuneError(f"{self.checkpoint} is not of a fine-tuning run; give another output folder")
            self._check_identity(state["identity"])
            with torch.no_grad():
                for name, weight in self.weights.items():
                    weight.copy_(state["weights"][name])
            if self.adapters is not None:
                self.adapters.load_state_dict(state["adapters"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average, self.best = state["average"], state["best"]
            self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
            self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
            self.rows, self.ended, self.before = state["rows"], state["ended"], state["before"]
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
            reason = next(iter(str(error).splitlines()), "it ends too early")
            raise FinetuneError(
                f"cannot carry on from {self.checkpoint}, which is damaged: {reason}; delete it to begin anew"
            ) from error

    def _check_identity(self, found: dict[str, Any]) -> None:
        differing = [key for key in self.identity if found.get(key) != self.identity[key]]
        if differing:
            key = differing[0]
            raise FinetuneError(
                f"{self.checkpoint.parent} holds another run: its {key} was {found.get(key)}, now it is "
                f"{self.identity[key]}; give another output folder, or delete that one"
            )


def _identity(settings: FinetuneSettings, model: str, samples: Samples) -> dict[str, Any]:
    """Say what must be the same for a run to be carried on."""
    facts = asdict(settings)
    # A resumed run may be given more time or patience.
    for key in ("patience", "max_minutes"):
        del facts[key]
    data = {"training data": samples.training_hash, "validation data": samples.validation_hash}
    # What a checkpoint holds must be plain, also where a caller's settings hold an enumeration's members.
    plain: dict[str, Any] = json.loads(json.dumps({"model": model} | data | facts))
    return plain
