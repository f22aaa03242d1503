"""Weights on disk: read safely, verify against the model, and say what is wrong."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from anymask.errors import AnymaskError
from anymask.models.transformers_keys import is_transformers_layout, to_published


class CheckpointError(AnymaskError, ValueError):
    """A checkpoint cannot be used; the message says whether it is missing, truncated, foreign or of another size."""


def _read_pickle(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        head = path.read_bytes()[:2]
        if head == b"PK":
            raise CheckpointError(
                f"{path} is truncated ({path.stat().st_size:,} bytes): it begins like a PyTorch checkpoint but its "
                "end is missing; download it again"
            )
        if head[:1] != b"\x80":
            raise CheckpointError(
                f"{path} is not a checkpoint: it is neither safetensors nor a PyTorch file; "
                "give a .safetensors, .pth or .pt file with a state dict"
            )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and a pickle can run code: only plain state dicts are loaded; "
            "save the model's state_dict() instead"
        ) from error
    # A damaged pickle makes torch.load raise nearly anything, often without a message.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is truncated or damaged: {reason}") from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict without executing anything that is in the file.

    Args:
        path: a ``.safetensors`` file, or a PyTorch file that holds a state dict, bare or under ``model`` or
            ``state_dict``.

    Returns:
        Tensors by the file's own keys, on the CPU; lower precisions are widened to float32.

    Raises:
        CheckpointError: the file is missing, empty, truncated, not a checkpoint, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty; download or export it again")
    if path.suffix == ".safetensors":
        try:
            state: Any = load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is truncated or not safetensors: {error}") from error
    else:
        state = _read_pickle(path)
    if isinstance(state, dict):
        for wrapper in ("model", "state_dict"):
            if isinstance(state.get(wrapper), dict):
                state = state[wrapper]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} does not hold a state dict (tensors by name)")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict in the published layout or in that of Hugging Face's SamModel.

    Args:
        path: as for :func:`read_tensors`.

    Returns:
        Tensors by published keys, on the CPU; lower precisions are widened to float32.

    Raises:
        CheckpointError: the file is missing, empty, truncated, not a checkpoint, or holds more than tensors.
    """
    state = read_tensors(path)
    return to_published(state) if is_transformers_layout(state) else state


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read what a ``.safetensors`` file says beside its tensors; nothing for other files.

    Raises:
        CheckpointError: the file is truncated or not safetensors.
    """
    if Path(path).suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or not safetensors: {error}") from error


def load_into(model: nn.Module, state: dict[str, Tensor], model_name: str, source: str) -> None:
    """Load a state dict strictly.

    Args:
        model: receives the weights.
        state: tensors by key.
        model_name: the model's name, for messages.
        source: where the state comes from, for messages.

    Raises:
        CheckpointError: keys are missing or foreign, or shapes differ; the message says which and for what model
            the checkpoint seems to be made.
    """
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in state]
    foreign = [key for key in state if key not in wanted]
    if len(missing) > len(wanted) // 2:
        raise CheckpointError(
            f"{source} is a foreign checkpoint: it shares {len(wanted) - len(missing)} of {len(wanted)} keys with "
            f"{model_name}; its first key is {next(iter(state))}"
        )
    reshaped = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if missing or foreign or reshaped:
        details = []
        if reshaped:
            key = reshaped[0]
            details.append(
                f"{len(reshaped)} tensors have other shapes ({key} is {tuple(state[key].shape)}, "
                f"wanted {tuple(wanted[key].shape)})"
            )
        if missing:
            details.append(f"{len(missing)} tensors are missing (first {missing[0]})")
        if foreign:
            details.append(f"{len(foreign)} tensors are unknown (first {foreign[0]})")
        raise CheckpointError(f"{source} is not a checkpoint of {model_name}: {'; '.join(details)}")
    model.load_state_dict(state)
