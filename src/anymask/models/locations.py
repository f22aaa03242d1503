"""Where the weights of a model are on this machine. Nothing here downloads anything."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import MODELS, ModelSpec, UnknownModelError


def weights_folder() -> Path:
    """The folder of downloaded checkpoints: ``$ANYMASK_HOME``, else ``anymask`` in the user's cache."""
    home = os.environ.get("ANYMASK_HOME")
    if home:
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "anymask"


def _in_hub_cache(spec: ModelSpec) -> Path | None:
    if not spec.hub_copy:
        return None
    from huggingface_hub import try_to_load_from_cache

    owner, name, path = spec.hub_copy.split("/", 2)
    found = try_to_load_from_cache(f"{owner}/{name}", path)
    return Path(found) if isinstance(found, str) else None


def find_weights(spec: ModelSpec) -> Path | None:
    """Look for the weights in the package, in :func:`weights_folder`, and in the Hugging Face hub's cache.

    Raises:
        CheckpointError: the folder may not be looked into.
    """
    if not spec.source:
        return Path(str(files("anymask.weights") / spec.file_name))
    path = weights_folder() / spec.file_name
    try:
        return path if path.is_file() else _in_hub_cache(spec)
    except PermissionError as error:
        raise CheckpointError(f"cannot look for {spec.file_name}: {error.filename}: {error.strerror}") from error


def locate(model: str) -> Path:
    """Find the weights of a model on this machine.

    Args:
        model: a name from the registry, or the path of a checkpoint file.

    Raises:
        CheckpointError: the model is known but its checkpoint is not here; the message says how to get it.
        UnknownModelError: neither a known name nor an existing file.
    """
    spec = MODELS.get(model)
    if spec is None:
        path = Path(model).expanduser()
        if path.is_file():
            return path
        if path.suffix or os.sep in model:
            raise CheckpointError(f"no checkpoint at {model}: {'it is a folder' if path.is_dir() else 'no such file'}")
        raise UnknownModelError(f"unknown model {model!r}: give one of {', '.join(MODELS)}, or a checkpoint file")
    found = find_weights(spec)
    if found is None:
        raise CheckpointError(
            f"the weights of {model} are not here: run `anymask models get {model}`; or download {spec.source} and "
            f"put it at {weights_folder() / spec.file_name}, or give its path as the model"
        )
    return found
