"""What a pre-training run does: a dataclass, every value checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymask.models.registry import model_spec
from anymask.train.config_values import ConfigError, build, read_values


@dataclass(frozen=True)
class PretrainSettings:
    """A pre-training run.

    How long it runs is said by one of ``steps``, ``epochs`` and ``minutes``; without any it is 100 epochs.

    Attributes:
        images: folder of images, searched with all that is below it.
        output: folder for the checkpoint, the log, the encoder and the reconstructions.
        model: whose image encoder, a name from the registry.
        initial: weights to begin with (see :func:`anymask.train.initialise.load_initial`), or None for random ones.
        side: side of the views in pixels, a multiple of 16.
        batch: views a step, in all processes together.
        steps: optimiser steps.
        epochs: times that every image is seen.
        minutes: the number of steps is what the pace of the first few lets expect of so much time.
        rate: peak learning rate for batches of 256 views, to which it is scaled; None for what suits the encoder:
            1.5e-4 for vision transformers (the paper's), 4e-3 for others.
        warmup: share of the steps in which the rate rises, before it falls as a cosine.
        weight_decay: of AdamW, on matrices.
        betas: of AdamW.
        clip: largest norm of the gradient; 0 for no limit.
        mask_ratio: masked share of a view; None for what suits the encoder: 0.75 for vision transformers, else 0.6.
        decoder_width: channels of a masked autoencoder's decoder, a multiple of 32; None for 512, or two thirds
            of the encoder's where that is less.
        decoder_depth: its blocks; None for 8, or two thirds of the encoder's where that is less.
        min_scale: smallest crop, as a share of an image's area.
        seed: decides every random choice.
        device: "auto", "cpu", "cuda", "mps".
        precision: "auto", "float32" or "bfloat16".
        checkpoint_every: steps between checkpoints.
        log_every: steps between rows of the log.
        previews: images in the picture of reconstructions.
        threads: batches prepared at a time.
        cache_gigabytes: shrunk images kept in memory.
    """

    images: str
    output: str
    model: str = "pocket"
    initial: str | None = None
    side: int = 224
    batch: int = 64
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    rate: float | None = None
    warmup: float = 0.05
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 5.0
    mask_ratio: float | None = None
    decoder_width: int | None = None
    decoder_depth: int | None = None
    min_scale: float = 0.2
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    checkpoint_every: int = 200
    log_every: int = 20
    previews: int = 6
    threads: int = 1
    cache_gigabytes: float = 2.0


DECISIVE = (
    "model", "initial", "side", "batch", "rate", "warmup", "weight_decay", "betas", "clip", "mask_ratio",
    "decoder_width", "decoder_depth", "min_scale", "seed",
)  # fmt: skip
"""Settings that a run cannot change when it carries on."""


def check_settings(settings: PretrainSettings) -> None:
    """Check what the types do not say.

    Raises:
        ConfigError: a value is out of its range, or values do not go together.
        UnknownModelError: the model is not in the registry.
    """
    model_spec(settings.model)
    if settings.side <= 0 or settings.side % 16:
        nearest = max(16, round(settings.side / 16) * 16)
        raise ConfigError(f"side must be a positive multiple of 16, not {settings.side}: for example {nearest}")
    lengths = [name for name in ("steps", "epochs", "minutes") if getattr(settings, name) is not None]
    if len(lengths) > 1:
        raise ConfigError(f"{' and '.join(lengths)} both say how long to train: give one of them")
    for name in ("steps", "epochs", "minutes", "rate"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0, not {value}")
    for name in ("batch", "checkpoint_every", "log_every", "threads", "previews", "decoder_depth"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")
    for name in ("weight_decay", "clip", "seed", "cache_gigabytes"):
        if not 0 <= getattr(settings, name) < math.inf:
            raise ConfigError(f"{name} must be at least 0, not {getattr(settings, name)}")
    for name in ("mask_ratio", "min_scale"):
        value = getattr(settings, name)
        if value is not None and not 0 < value <= (1 if name == "min_scale" else 0.99):
            raise ConfigError(
                f"{name} must be above 0 and {'at most 1' if name == 'min_scale' else 'below 1'}, not {value}"
            )
    if not 0 <= settings.warmup < 1:
        raise ConfigError(f"warmup must be at least 0 and below 1, not {settings.warmup}: it is a share of the steps")
    if not all(0 <= beta < 1 for beta in settings.betas):
        raise ConfigError(f"betas must be at least 0 and below 1, not {list(settings.betas)}")
    if settings.decoder_width is not None and (settings.decoder_width <= 0 or settings.decoder_width % 32):
        raise ConfigError(f"decoder_width must be a positive multiple of 32, not {settings.decoder_width}")
    output = Path(settings.output)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"the output {output} is a file: give a folder, which is made if it is missing")


def load_settings(path: str | Path | None, given: Mapping[str, Any]) -> PretrainSettings:
    """Put settings together from a configuration file and from what is given beside it, which wins.

    Args:
        path: a ``.yaml``, ``.yml`` or ``.toml`` file, or None. Relative paths in it are resolved against its folder.
        given: settings by name.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing, of another type or out of its range.
        UnknownModelError: the model is not in the registry.
    """
    values = dict(given)
    if path is not None:
        read = read_values(path)
        if not isinstance(read, dict):
            raise ConfigError(f"{path} must be a table of keys, not {read!r}")
        folder = Path(path).resolve().parent
        for name in ("images", "output", "initial"):
            if isinstance(read.get(name), str):
                read[name] = str((folder / Path(read[name]).expanduser()).resolve())
        lengths = ("steps", "epochs", "minutes")
        if any(name in given for name in lengths):
            read = {key: value for key, value in read.items() if key not in lengths}
        values = {**read, **values}
    settings: PretrainSettings = build(PretrainSettings, values)
    check_settings(settings)
    return settings
