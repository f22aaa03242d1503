"""Folders in the layout of Hugging Face's SamModel: ``config.json`` beside ``model.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from anymask.atomic import write_atomically
from anymask.models.architecture import ArchitectureError, VitArchitecture
from anymask.models.checkpoints import CheckpointError, load_into, read_tensors
from anymask.models.sam import Sam
from anymask.models.transformers_config import (
    read_config,
    read_pixel_statistics,
    write_config,
    write_processor_config,
)
from anymask.models.transformers_keys import to_published, to_transformers

CONFIG = "config.json"
PROCESSOR_CONFIGS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Files that hold or list the weights, the preferred first."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CheckpointError: it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error


def shard_names(index: Any, source: str) -> list[str]:
    """List the files that an index of sharded weights names, each of which lies beside it.

    Args:
        index: the content of ``model.safetensors.index.json``.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: it is no such index, or names a file elsewhere.
    """
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise CheckpointError(f"{source} is not an index of weights: it has no weight_map")
    names = sorted(set(shards.values()))
    for name in names:
        if name in ("", "..") or Path(name).name != name or "\\" in name:
            raise CheckpointError(f"{source} names {name!r}: weights must lie beside their index")
    return names


def _find_weights(folder: Path) -> Path:
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder} holds no weights: one of {', '.join(WEIGHTS)} must lie beside {CONFIG}")
    return path


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".json":
        return read_tensors(path)
    tensors: dict[str, Tensor] = {}
    for name in shard_names(read_json(path), str(path)):
        tensors |= read_tensors(path.parent / name)
    return tensors


def read_folder(folder: Path, weights: Path | None = None) -> Sam:
    """Read a network from a folder in SamModel's layout.

    Args:
        folder: holds ``config.json`` and the weights: safetensors or, read without executing anything, a PyTorch
            file, either whole or in shards; ``preprocessor_config.json`` may say another colour mean and deviation.
        weights: the file with the weights, where it is not the preferred one of the folder.

    Raises:
        CheckpointError: a file is missing or damaged, or describes another kind of model; or the weights are not
            exactly those that the configuration asks for.
    """
    config = folder / CONFIG
    network = read_config(read_json(config), str(config)).build()
    path = weights or _find_weights(folder)
    load_into(network, to_published(_read_weights(path)), f"the model that {config} describes", str(path))
    for name in PROCESSOR_CONFIGS:
        if (folder / name).is_file():
            content = read_json(folder / name)
            nested = content.get("image_processor") if isinstance(content, dict) else None
            set_pixel_statistics(network, *read_pixel_statistics(nested or content, str(folder / name)))
            break
    return network


def set_pixel_statistics(network: Sam, mean: list[float], std: list[float]) -> None:
    """Let a network subtract and divide by other colours, in 0–255."""
    for buffer, values in ((network.pixel_mean, mean), (network.pixel_std, std)):
        buffer.copy_(torch.tensor(values).reshape(-1, 1, 1))


def write_folder(network: Sam, folder: str | Path) -> None:
    """Write a network as a folder that SamModel and SamProcessor read.

    The files are ``model.safetensors``, ``config.json`` and ``preprocessor_config.json``, each whole or not there.

    Args:
        network: with a plain vision transformer as its image encoder.
        folder: made if it is missing.

    Raises:
        CheckpointError: the network cannot be said in that layout, or the folder is a file.
        OSError: the folder cannot be made or written to.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is a file: the Hugging Face layout is a folder of several; give another name")
    try:
        architecture = VitArchitecture.of(network)
    except ArchitectureError as error:
        raise CheckpointError(
            f"this model cannot be saved in the Hugging Face layout: {error}; save it as a .safetensors file"
        ) from error
    state = network.state_dict()
    with torch.device("meta"):
        wanted = architecture.build().state_dict()
    shapes, wanted_shapes = ({key: value.shape for key, value in part.items()} for part in (state, wanted))
    different = {key for key, _ in shapes.items() ^ wanted_shapes.items()}
    if different:
        raise CheckpointError(
            "this model cannot be saved in the Hugging Face layout: it has other parts than SAM (first "
            f"{min(different)}); merge or remove adapters before"
        )
    tensors = {key: value.detach().cpu().contiguous() for key, value in to_transformers(state).items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS[0], lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    _write_json(folder / PROCESSOR_CONFIGS[0], write_processor_config(network))
    _write_json(folder / CONFIG, write_config(architecture))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))
