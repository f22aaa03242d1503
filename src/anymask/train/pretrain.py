"""Pre-training of image encoders on unlabelled images, with checkpoints that resume exactly."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import distributed, nn

from anymask.atomic import write_atomically
from anymask.models.checkpoints import CheckpointError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.masked_autoencoder import MaskedAutoencoder, MaskedImageModel
from anymask.models.registry import build_model
from anymask.models.sam import Sam
from anymask.segment.segmenter import choose_device, choose_precision
from anymask.train.batch_norm import share_batch_norm
from anymask.train.config_values import ConfigError
from anymask.train.initialise import load_initial
from anymask.train.log import write_table
from anymask.train.memory import keep_freed_memory
from anymask.train.optimizer import split_decayed
from anymask.train.pretrain_batches import MaskedBatch, ViewStream, find_images, fingerprint, normalise
from anymask.train.pretrain_settings import DECISIVE, PretrainSettings, check_settings
from anymask.train.processes import Processes
from anymask.train.reconstructions import to_pixels, write_reconstructions
from anymask.train.stopping import stop_requests

LOG_COLUMNS = ("step", "epoch", "seconds", "rate", "loss", "gradient")

Progress = Callable[[dict[str, float], int, int], None]


def build_masked_model(sam: Sam, settings: PretrainSettings) -> MaskedAutoencoder | MaskedImageModel:
    """Choose how an encoder is pre-trained: vision transformers as masked autoencoders, others by painting over.

    A vision transformer's visible patches can be computed alone, at a quarter of the price. Convolutions and windows
    need the whole image.
    """
    encoder = sam.image_encoder
    if not isinstance(encoder, ImageEncoderViT):
        return MaskedImageModel(encoder, settings.side, channels=sam.prompt_encoder.embed_dim)
    width = encoder.patch_embed.proj.out_channels
    return MaskedAutoencoder(
        encoder,
        decoder_width=settings.decoder_width or min(512, max(32, width * 2 // 3 // 32 * 32)),
        decoder_depth=settings.decoder_depth or min(8, max(1, len(encoder.blocks) * 2 // 3)),
        fresh=settings.initial is None,
    )


class Pretrainer:
    """Pre-trains an image encoder as settings say, carrying on where the output folder has a checkpoint.

    Args:
        settings: what to do.
        report: called after every step with its figures, the steps done and the steps in all.

    Raises:
        ConfigError: a setting is wrong, or is not what the run in the output folder began with.
        NoImagesError: the folder is missing, or holds no image that can be read.
        CheckpointError: the initial weights do not belong to the model, or the checkpoint is damaged.
    """

    def __init__(self, settings: PretrainSettings, report: Progress | None = None) -> None:
        check_settings(settings)
        self.settings = settings
        self.report = report
        self.folder = Path(settings.output)
        images = find_images(settings.images, without=settings.output)
        self.device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, self.device)
        self.processes = Processes.join(self.device)
        if settings.batch % self.processes.count:
            raise ConfigError(
                f"batch must be a multiple of the number of processes, {self.processes.count}, not {settings.batch}"
            )
        if self.device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(settings.seed)
        sam = build_model(settings.model, settings.side)
        self.notes: list[str] = []
        """What a person should know, one line each."""
        if settings.initial is not None and not self.checkpoint.is_file():
            self.notes.append(load_initial(sam, settings.initial, settings.model))
        if self.processes.count > 1:
            share_batch_norm(sam.image_encoder, self.device)
        self.model = build_masked_model(sam, settings).to(self.device)
        plain = isinstance(self.model, MaskedAutoencoder)
        self.rate = (settings.rate or (1.5e-4 if plain else 4e-3)) * settings.batch / 256
        self.stream = ViewStream(
            images,
            side=settings.side,
            batch=settings.batch,
            cells=self.model.cells,
            mask_ratio=settings.mask_ratio or (0.75 if plain else 0.6),
            min_scale=settings.min_scale,
            seed=settings.seed,
            threads=settings.threads,
            cache_gigabytes=settings.cache_gigabytes,
            share=(self.processes.rank, self.processes.count),
        )
        self.parameters = list(self.model.learned().values())
        self.optimizer = self._new_optimizer()
        self.step, self.seconds, self.total = 0, 0.0, 0
        self.log: list[dict[str, float]] = []
        self.rows: list[dict[str, float]] = []
        """What the steps since the last row of the log gave."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def checkpoint(self) -> Path:
        """The file from which a run resumes."""
        return self.folder / "checkpoint.pt"

    @property
    def encoder_file(self) -> Path:
        """The file that training begins with."""
        return self.folder / "encoder.safetensors"

    @property
    def skipped(self) -> dict[str, str]:
        """Why images could not be read, by their path."""
        return self.stream.skipped

    def _new_optimizer(self) -> torch.optim.Optimizer:
        decayed, others = split_decayed(self.parameters)
        groups = [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.rate, betas=self.settings.betas)

    def _decisive(self) -> dict[str, str]:
        return {name: repr(getattr(self.settings, name)) for name in DECISIVE}

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            begun = state["settings"]
            changed = [name for name, value in self._decisive().items() if begun[name] != value]
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error
        if changed:
            name = changed[0]
            raise ConfigError(
                f"{self.folder} holds a run with {name} {begun[name]}, not {self._decisive()[name]}: give another "
                f"output folder, or delete {self.checkpoint} to begin anew"
            )
        try:
            self._restore(state)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CheckpointError:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        return CheckpointError(
            f"cannot carry on from {self.checkpoint}, which is damaged: {reason}; give another output folder, or "
            "delete it to begin anew"
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.total = state["step"], state["seconds"], state["total"]
        self.log, self.rows = state["log"], state["rows"]
        self.stream.skipped.update(state["skipped"])
        now = fingerprint(self.stream.images, self.settings.images)
        if state["images"] != now:
            self.notes.append(
                f"the images have changed since the run began ({state['images'].split(',')[0]} then, "
                f"{now.split(',')[0]} now): it carries on with those of now"
            )

    def save(self) -> None:
        """Write checkpoint, log, encoder and reconstructions, each whole or not at all; process 0 alone does it."""
        if self.processes.rank > 0:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": self._decisive(),
            "images": fingerprint(self.stream.images, self.settings.images),
            "step": self.step,
            "seconds": self.seconds,
            "total": self.total,
            "log": self.log,
            "rows": self.rows,
            "skipped": self.stream.skipped,
        }
        write_atomically(self.checkpoint, lambda path: torch.save(state, path))
        write_table(self.folder / "log.csv", LOG_COLUMNS, self.log)
        self.export(self.encoder_file)
        self.draw(self.folder / "reconstructions.png")

    def export(self, path: Path) -> None:
        """Write what has been learned of the encoder as safetensors, by the whole model's keys."""
        tensors = {
            f"image_encoder.{key}": value.cpu().contiguous() for key, value in self.model.encoder_state().items()
        }
        metadata = {
            "format": "pt",
            "model": self.settings.model,
            "part": "image_encoder",
            "trained_as": self.model.name,
            "side": str(self.settings.side),
            "steps": str(self.step),
        }
        write_atomically(path, lambda target: save_file(tensors, target, metadata=metadata))

    def draw(self, path: Path) -> None:
        """Write a picture of a few images, masked and filled in."""
        originals, masked = self.stream.previews(self.settings.previews)
        images, hidden = normalise(originals).to(self.device), masked.to(self.device)
        self.model.eval()
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            filled = self.model.reconstruct(images, hidden)
        write_reconstructions(path, originals, self.model.spread(masked)[:, 0].numpy(), to_pixels(filled))

    def _steps_in_all(self) -> int:
        if self.settings.steps is not None:
            return self.settings.steps
        if self.settings.minutes is not None:
            # A run that carries on keeps its number of steps, so that it ends as an undisturbed one.
            return self.total or self._steps_within(self.settings.minutes * 60)
        epochs = 100.0 if self.settings.epochs is None else self.settings.epochs
        return max(1, math.ceil(epochs * len(self.stream.images) / self.settings.batch))

    def _steps_within(self, seconds: float) -> int:
        """Estimate how many steps so much time allows, from a few whose results are thrown away."""
        before = copy.deepcopy(self.model.state_dict())
        paces = []
        begun = time.monotonic()
        for batch in self.stream.iterate(0, 4):
            self._backward(batch)
            paces.append(time.monotonic() - begun)
            begun = time.monotonic()
        self.optimizer.zero_grad(set_to_none=True)
        self.model.load_state_dict(before)
        # The first step pays for much that the others find ready.
        pace = self.processes.gather(torch.tensor(sum(paces[1:]) / len(paces[1:]))).max()
        return max(1, int((seconds - sum(paces)) / float(pace)))

    def _set_rate(self) -> float:
        warm = max(1, round(self.settings.warmup * self.total))
        done = max(0.0, (self.step + 1 - warm) / max(1, self.total - warm))
        rate = self.rate * min(1.0, (self.step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _backward(self, batch: MaskedBatch) -> float:
        self.model.train()
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            loss = self.model(batch.images.to(self.device), batch.masked.to(self.device))
        loss.backward()
        return float(loss.detach())

    def train(self) -> bool:
        """Run to the end, or until SIGINT or SIGTERM asks to stop.

        Returns:
            Whether the run is complete; if not, the same settings carry on.
        """
        with stop_requests() as stopping, self.processes.together():
            self.total = self._steps_in_all()
            if self.step >= self.total:
                return True
            complete = self._run(stopping)
            self._share_skipped()
            self.save()
            if self.stream.skipped and self.processes.rank == 0:
                rows = [{"file": file, "reason": reason} for file, reason in sorted(self.stream.skipped.items())]
                write_table(self.folder / "skipped.csv", ("file", "reason"), rows)
        return complete

    def _run(self, stopping: Callable[[], bool]) -> bool:
        begun = time.monotonic()
        for batch in self.stream.iterate(self.step, self.total):
            rate = self._set_rate()
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._backward(batch)
            stop = self.processes.average_gradients(self.parameters, stopping())
            norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip or math.inf)
            # One poisoned batch must not cost a night of training.
            if torch.isfinite(norm):
                self.optimizer.step()
            self.step += 1
            row = {"rate": rate, "loss": loss, "gradient": float(norm)}
            self.rows.append(row)
            self.seconds, begun = self.seconds + time.monotonic() - begun, time.monotonic()
            if self.step % self.settings.log_every == 0 or self.step == self.total:
                self._log()
            if self.report is not None:
                self.report(row, self.step, self.total)
            if stop:
                return self.step == self.total
            if self.step % self.settings.checkpoint_every == 0 and self.step < self.total:
                self.save()
        return True

    def _log(self) -> None:
        means = []
        for key in LOG_COLUMNS[3:]:
            finite = [row[key] for row in self.rows if math.isfinite(row[key])]
            means.append(sum(finite) / len(finite) if finite else math.nan)
        if self.processes.count > 1:
            # Rates and gradients are the same everywhere, losses are those of each process's views.
            means = (self.processes.sum_figures(torch.tensor(means)) / self.processes.count).tolist()
        epoch = self.step * self.settings.batch / len(self.stream.images)
        figures = dict(zip(LOG_COLUMNS[3:], means, strict=True))
        self.log.append({"step": self.step, "epoch": epoch, "seconds": self.seconds} | figures)
        self.rows = []
        if self.processes.rank == 0:
            write_table(self.folder / "log.csv", LOG_COLUMNS, self.log)

    def _share_skipped(self) -> None:
        """Let process 0 know which images the others could not read."""
        if self.processes.count == 1:
            return
        gathered: list[dict[str, str]] = [{} for _ in range(self.processes.count)]
        distributed.all_gather_object(gathered, self.stream.skipped)
        for skipped in gathered:
            self.stream.skipped.update(skipped)


@dataclasses.dataclass(frozen=True)
class PretrainResult:
    """What a pre-training run left.

    Attributes:
        complete: whether it came to its end; if not, the same settings carry on.
        steps: done so far.
        loss: mean of the last row of the log; NaN where there is none.
        images: how many were found.
        skipped: why images could not be read, by their path.
        encoder: the encoder's file.
        notes: what a person should know, one line each.
    """

    complete: bool
    steps: int
    loss: float
    images: int
    skipped: dict[str, str]
    encoder: Path
    notes: tuple[str, ...]


def pretrain(settings: PretrainSettings, report: Progress | None = None) -> PretrainResult:
    """Pre-train as ``settings`` say; arguments and errors as for :class:`Pretrainer`."""
    trainer = Pretrainer(settings, report)
    complete = trainer.train()
    return PretrainResult(
        complete=complete,
        steps=trainer.step,
        loss=trainer.log[-1]["loss"] if trainer.log else math.nan,
        images=len(trainer.stream.images),
        skipped=dict(trainer.skipped),
        encoder=trainer.encoder_file,
        notes=tuple(trainer.notes),
    )
