"""Training configurations: dataclasses read from YAML or TOML, every key checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from anymask.formats.datasets import DATASET_KINDS
from anymask.train.config_values import ConfigError, build, read_values
from anymask.train.interactive import InteractiveSettings
from anymask.train.views import Augmentation

__all__ = ["ConfigError", "DataConfig", "PhaseConfig", "TrainConfig", "load_config"]

PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


@dataclass(frozen=True)
class DataConfig:
    """One data set.

    Attributes:
        kind: a format of :mod:`anymask.formats` such as "coco" or "sa1b", "masks" (a folder of mask pictures), "auto"
            (one of these, recognised by looking) or "synthetic" (scenes drawn on demand).
        path: the file or folder, relative to the configuration file; not for synthetic.
        images: folder of the pictures where they are not in the format's usual place.
        split: "train" leaves out the tenth of the files whose name's CRC-32 is divisible by 10, "validation"
            is that tenth, "all" is everything.
        weight: share of the views, relative to the other data sets.
        paste: whether its objects may be pasted into other images.
        only_exhaustive: leave out images of a COCO file that are marked as not fully annotated.
        size: side of synthetic scenes in pixels.
        seed: first synthetic scene.
    """

    kind: str
    path: str = ""
    images: str | None = None
    split: str = "train"
    weight: float = 1.0
    paste: bool = False
    only_exhaustive: bool = False
    size: int = 320
    seed: int = 0


@dataclass(frozen=True)
class PhaseConfig:
    """One phase of training; phases follow each other on the same weights.

    Attributes:
        objective: "dense" (encoder and upscaling alone, cheap) or "interactive" (the whole model).
        steps: optimiser steps.
        image_size: side of the views in pixels, a multiple of 16.
        batch_size: views a step, in all processes together.
        accumulate: how many parts, one after the other, a process makes of its share of a step. It saves memory and
            changes nothing else, except that batch normalisation sees one part at a time.
        max_masks: masks a view, at most.
        learning_rate: peak rate.
        schedule: "cosine" (falls to ``final_rate`` at the phase's end), "step" (multiplied by ``decay_factor`` at
            each of ``decay_steps``) or "constant".
        final_rate: rate at the end of a cosine, as a share of the peak.
        decay_steps: steps of the phase after which the rate falls; for "step".
        decay_factor: what the rate is multiplied by there.
        warmup: steps of linear warm-up.
        weight_decay: of AdamW; norms, biases, positions and learned tokens are never decayed.
        betas: of AdamW.
        clip: largest norm of the gradient; 0 for no limit.
        encoder_rate: factor on the image encoder's rate; 0 freezes it.
        layer_decay: factor on the rate from each layer of the image encoder to the one below; 1 for none.
        drop_path: chance that the last block of a vision transformer is left out for an image (stochastic depth);
            it grows linearly from 0 in the first block.
        freeze: parts that are not trained: "image_encoder", "prompt_encoder", "mask_decoder".
        checkpoint_activations: compute the blocks of a vision transformer twice instead of keeping what they
            computed: a third more time, a fraction of the memory, the same gradients.
        dense_weight: weight of the dense objective beside the interactive one, which keeps every pixel of the
            embedding in training and costs little.
        interaction: how interactions go.
        augmentation: how views are made.
    """

    objective: str
    steps: int
    image_size: int = 512
    batch_size: int = 8
    max_masks: int = 8
    learning_rate: float = 4e-4
    final_rate: float = 0.05
    warmup: int = 100
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    encoder_rate: float = 1.0
    dense_weight: float = 0.0
    interaction: InteractiveSettings = field(default_factory=InteractiveSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    accumulate: int = 1
    schedule: str = "cosine"
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = 0.1
    layer_decay: float = 1.0
    drop_path: float = 0.0
    freeze: tuple[str, ...] = ()
    checkpoint_activations: bool = False

    @property
    def frozen(self) -> frozenset[str]:
        """The parts that this phase does not train."""
        return frozenset(self.freeze) | ({"image_encoder"} if self.encoder_rate == 0 else frozenset())


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        output: folder for checkpoints, log and exported weights, relative to the configuration file.
        data: the data sets.
        phases: what is trained in which order.
        model: a name from the registry.
        initial: weights to begin with, or None for random ones: a checkpoint of the model, also one for another
            input side, or an image encoder pre-trained as a masked autoencoder.
        decoder_start: random weights of the mask decoder: "matching" (a prompt looks at its own place from the first
            step on, which saves thousands of steps) or "random" (as in the paper).
        seed: decides every random choice.
        device: "auto", "cpu", "cuda", "mps".
        precision: "auto", "float32" or "bfloat16".
        ema: decay of the running average of the weights, which is what gets exported; 0 exports the last weights.
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of the log.
        threads: batches prepared at a time.
        cache_gigabytes: decoded images kept in memory.
    """

    output: str
    data: tuple[DataConfig, ...]
    phases: tuple[PhaseConfig, ...]
    model: str = "pocket"
    initial: str | None = None
    decoder_start: str = "matching"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    ema: float = 0.999
    checkpoint_every: int = 200
    log_every: int = 20
    threads: int = 1
    cache_gigabytes: float = 4.0


def _check_phase(phase: PhaseConfig, where: str) -> None:
    interaction, augmentation = phase.interaction, phase.augmentation
    if phase.image_size <= 0 or phase.image_size % 16:
        raise ConfigError(f"{where}.image_size must be a positive multiple of 16, not {phase.image_size}")
    at_least: list[tuple[str, float, float]] = [
        *((name, getattr(phase, name), 1) for name in ("steps", "batch_size", "max_masks", "accumulate")),
        *((name, getattr(phase, name), 0) for name in ("warmup", "clip", "encoder_rate", "weight_decay")),
        *((name, getattr(phase, name), 0) for name in ("dense_weight", "final_rate")),
        *((f"interaction.{name}", getattr(interaction, name), 0) for name in ("points", "mask_only", "box_jitter")),
        *(
            (f"interaction.{name}", getattr(interaction, name), 0)
            for name in ("pixel_weight", "dice_weight", "iou_weight", "single_weight")
        ),
        *((f"augmentation.{name}", getattr(augmentation, name), 0) for name in ("colour", "min_area")),
    ]
    for name, number, least in at_least:
        if not least <= number < float("inf"):
            raise ConfigError(f"{where}.{name} must be at least {least}, not {number}")
    for name in ("learning_rate", "decay_factor"):
        if not 0 < getattr(phase, name) < float("inf"):
            raise ConfigError(f"{where}.{name} must be above 0, not {getattr(phase, name)}")
    shares = [
        *((f"interaction.{name}", getattr(interaction, name)) for name in ("box_share", "centre_share", "feedback")),
        *((f"augmentation.{name}", getattr(augmentation, name)) for name in ("whole", "flip", "grey", "paste")),
        ("augmentation.max_share", augmentation.max_share),
    ]
    for name, number in shares:
        if not 0 <= number <= 1:
            raise ConfigError(f"{where}.{name} must be between 0 and 1, not {number}")
    if not all(0 <= beta < 1 for beta in phase.betas):
        raise ConfigError(f"{where}.betas must be at least 0 and below 1, not {list(phase.betas)}")
    if not 0 < phase.layer_decay <= 1:
        raise ConfigError(f"{where}.layer_decay must be above 0 and at most 1, not {phase.layer_decay}")
    if not 0 <= phase.drop_path < 1:
        raise ConfigError(f"{where}.drop_path must be at least 0 and below 1, not {phase.drop_path}")
    if not 0 < augmentation.min_scale <= augmentation.max_scale:
        raise ConfigError(
            f"{where}.augmentation needs 0 < min_scale <= max_scale, "
            f"not {augmentation.min_scale} and {augmentation.max_scale}"
        )
    if phase.schedule == "step":
        ordered = list(phase.decay_steps) == sorted(set(phase.decay_steps))
        if not phase.decay_steps or not ordered or not 0 < phase.decay_steps[0] <= phase.decay_steps[-1] < phase.steps:
            raise ConfigError(
                f"{where}.decay_steps must rise between 0 and steps ({phase.steps}) where schedule is step, "
                f"not {list(phase.decay_steps)}"
            )
    elif phase.decay_steps:
        raise ConfigError(f"{where}.decay_steps needs schedule: step, not {phase.schedule}")
    if phase.frozen >= ({"image_encoder", "mask_decoder"} if phase.objective == "dense" else set(PARTS)):
        raise ConfigError(f"{where} freezes every part that it would train; leave one out of freeze and encoder_rate")


def _check_choices(config: TrainConfig) -> None:
    choices: list[tuple[str, str, tuple[str, ...]]] = [
        ("precision", config.precision, ("auto", "float32", "bfloat16")),
        ("decoder_start", config.decoder_start, ("matching", "random")),
        *((f"data[{i}].kind", entry.kind, (*DATASET_KINDS, "synthetic")) for i, entry in enumerate(config.data)),
        *((f"data[{i}].split", entry.split, ("train", "validation", "all")) for i, entry in enumerate(config.data)),
    ]
    for i, phase in enumerate(config.phases):
        where = f"phases[{i}]"
        choices += [
            (f"{where}.objective", phase.objective, ("dense", "interactive")),
            (f"{where}.schedule", phase.schedule, ("cosine", "step", "constant")),
            (f"{where}.interaction.pixel_loss", phase.interaction.pixel_loss, ("focal", "balanced")),
            (f"{where}.augmentation.scale_spacing", phase.augmentation.scale_spacing, ("ratio", "linear")),
            *((f"{where}.freeze[{j}]", part, PARTS) for j, part in enumerate(phase.freeze)),
        ]
    for key, value, allowed in choices:
        if value not in allowed:
            raise ConfigError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")


def check_config(config: TrainConfig) -> None:
    """Check what the types of a configuration do not say.

    Raises:
        ConfigError: a value is out of its range, or values do not go together.
    """
    _check_choices(config)
    for i, phase in enumerate(config.phases):
        _check_phase(phase, f"phases[{i}]")
    for name in ("checkpoint_every", "log_every", "threads"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, not {getattr(config, name)}")
    if config.seed < 0:
        raise ConfigError(f"seed must be at least 0, not {config.seed}")
    if not 0 <= config.ema < 1:
        raise ConfigError(f"ema must be at least 0 and below 1, not {config.ema}")
    for i, entry in enumerate(config.data):
        if not 0 < entry.weight < float("inf"):
            raise ConfigError(f"data[{i}].weight must be above 0, not {entry.weight}")
        if entry.kind == "synthetic" and entry.size < 8:
            raise ConfigError(f"data[{i}].size must be at least 8 pixels, not {entry.size}")
    if not config.data:
        raise ConfigError("data must list at least one data set")
    if not config.phases:
        raise ConfigError("phases must list at least one phase")


def load_config(path: str | Path) -> TrainConfig:
    """Read a training configuration; relative paths in it are resolved against its folder.

    Args:
        path: a ``.yaml``, ``.yml`` or ``.toml`` file.

    Raises:
        ConfigError: the file is missing, not in its format, or a key is unknown, missing or wrong.
    """
    path = Path(path)
    config: TrainConfig = build(TrainConfig, read_values(path))
    check_config(config)
    folder = path.resolve().parent

    def resolve(entry: str) -> str:
        return str((folder / Path(entry).expanduser()).resolve())

    return dataclasses.replace(
        config,
        output=resolve(config.output),
        initial=None if config.initial is None else resolve(config.initial),
        data=tuple(
            dataclasses.replace(
                entry,
                path=resolve(entry.path) if entry.path else "",
                images=None if entry.images is None else resolve(entry.images),
            )
            for entry in config.data
        ),
    )
