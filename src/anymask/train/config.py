"""Training configurations: dataclasses read from YAML or TOML, every key checked."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anymask.errors import AnymaskError
from anymask.train.interactive import InteractiveSettings
from anymask.train.views import Augmentation


class ConfigError(AnymaskError, ValueError):
    """A training configuration is wrong; the message names the key and what it accepts."""


@dataclass(frozen=True)
class DataConfig:
    """One data set.

    Attributes:
        kind: "coco" (an instances file, or a folder with ``annotations.json``), "sa1b" (a folder of images
            with a JSON beside each) or "synthetic" (scenes drawn on demand).
        path: the file or folder, relative to the configuration file; not for synthetic.
        images: image folder of a COCO file where it is not ``images`` beside it.
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
        batch_size: views a step.
        max_masks: masks a view, at most.
        learning_rate: peak rate.
        final_rate: rate at the phase's end, as a share of the peak (cosine between).
        warmup: steps of linear warm-up.
        weight_decay: of AdamW.
        betas: of AdamW.
        clip: largest norm of the gradient.
        encoder_rate: factor on the image encoder's rate; 0 freezes it.
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


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        output: folder for checkpoints, log and exported weights, relative to the configuration file.
        data: the data sets.
        phases: what is trained in which order.
        model: a name from the registry.
        initial: weights to begin with (a checkpoint file), or None for random ones.
        seed: decides every random choice.
        device: "auto", "cpu", "cuda", "mps".
        precision: "auto", "float32" or "bfloat16".
        ema: decay of the running average of the weights, which is what gets exported; 0 for none.
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
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    ema: float = 0.999
    checkpoint_every: int = 200
    log_every: int = 20
    threads: int = 1
    cache_gigabytes: float = 4.0


def _convert(value: Any, wanted: Any, key: str) -> Any:
    """Convert a parsed value to the annotated type of its key."""
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _build(wanted, value, key)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{key} must be a list, not {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(entry, arguments[0], f"{key}[{i}]") for i, entry in enumerate(value))
        if len(value) != len(arguments):
            raise ConfigError(f"{key} must have {len(arguments)} entries, not {len(value)}")
        return tuple(
            _convert(entry, kind, f"{key}[{i}]") for i, (entry, kind) in enumerate(zip(value, arguments, strict=True))
        )
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(value, next(kind for kind in arguments if kind is not type(None)), key)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted is float and isinstance(value, str):
        # YAML 1.1 reads 4e-4 as text.
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{key} must be a number, not {value!r}") from None
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{key} must be of type {wanted.__name__}, not {value!r}")
    return value


def _build(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where or 'the configuration'} must be a table of keys, not {values!r}")
    kinds = typing.get_type_hints(cls)
    fields = {entry.name: entry for entry in dataclasses.fields(cls)}
    prefix = f"{where}." if where else ""
    for key in values:
        if key not in fields:
            raise ConfigError(f"unknown key {prefix}{key}; known keys: {', '.join(fields)}")
    for name, entry in fields.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"the key {prefix}{name} is missing")
    return cls(**{key: _convert(value, kinds[key], prefix + key) for key, value in values.items()})


def _check(config: TrainConfig) -> None:
    choices: list[tuple[str, str, tuple[str, ...]]] = [
        ("precision", config.precision, ("auto", "float32", "bfloat16")),
        *((f"data[{i}].kind", entry.kind, ("coco", "sa1b", "synthetic")) for i, entry in enumerate(config.data)),
        *((f"data[{i}].split", entry.split, ("train", "validation", "all")) for i, entry in enumerate(config.data)),
    ]
    for i, phase in enumerate(config.phases):
        choices.append((f"phases[{i}].objective", phase.objective, ("dense", "interactive")))
        choices.append((f"phases[{i}].interaction.pixel_loss", phase.interaction.pixel_loss, ("focal", "balanced")))
        if phase.image_size <= 0 or phase.image_size % 16:
            raise ConfigError(f"phases[{i}].image_size must be a positive multiple of 16, not {phase.image_size}")
        for name in ("steps", "batch_size", "max_masks"):
            if getattr(phase, name) < 1:
                raise ConfigError(f"phases[{i}].{name} must be at least 1, not {getattr(phase, name)}")
        if not 0 < phase.augmentation.min_scale <= phase.augmentation.max_scale:
            raise ConfigError(
                f"phases[{i}].augmentation needs 0 < min_scale <= max_scale, "
                f"not {phase.augmentation.min_scale} and {phase.augmentation.max_scale}"
            )
        for name in ("points", "mask_only"):
            count = getattr(phase.interaction, name)
            if count < 0:
                raise ConfigError(f"phases[{i}].interaction.{name} must be at least 0, not {count}")
    for name in ("checkpoint_every", "log_every", "threads"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, not {getattr(config, name)}")
    if not 0 <= config.ema < 1:
        raise ConfigError(f"ema must be at least 0 and below 1, not {config.ema}")
    for i, entry in enumerate(config.data):
        if not 0 < entry.weight < float("inf"):
            raise ConfigError(f"data[{i}].weight must be above 0, not {entry.weight}")
        if entry.kind == "synthetic" and entry.size < 8:
            raise ConfigError(f"data[{i}].size must be at least 8 pixels, not {entry.size}")
    for key, value, allowed in choices:
        if value not in allowed:
            raise ConfigError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")
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
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text") from error
    if path.suffix == ".toml":
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from error
    elif path.suffix in (".yaml", ".yml"):
        try:
            import yaml
        except ImportError as error:
            raise ConfigError("YAML configurations need PyYAML: pip install 'anymask[train]'") from error
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    else:
        raise ConfigError(f"{path} must end in .yaml, .yml or .toml")
    config: TrainConfig = _build(TrainConfig, values, "")
    _check(config)
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
