"""Networks with their weights, from and to disk: by name, file, folder or hub id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from anymask.atomic import write_atomically
from anymask.models.architecture import ArchitectureError, VitArchitecture
from anymask.models.checkpoints import (
    CheckpointError,
    load_into,
    load_state_dict,
    read_metadata,
    read_tensors,
)
from anymask.models.hub import fetch_repository, is_repository
from anymask.models.locations import locate
from anymask.models.registry import MODELS, VITS, UnknownModelError, build_model, guess_model, model_spec
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam
from anymask.models.transformers_config import (
    read_config,
    read_pixel_statistics,
    write_config,
    write_processor_config,
)
from anymask.models.transformers_folder import CONFIG, WEIGHTS, read_folder, set_pixel_statistics
from anymask.models.transformers_keys import is_transformers_layout, to_published

# Entries of a file's metadata that hold what the Hugging Face layout has in files of these names.
_CONFIG_FACT = "config"
_PROCESSOR_FACT = "preprocessor_config"


def load_network(model: str | Path) -> tuple[Sam, str]:
    """Build a network and load its weights.

    Args:
        model: a name from the registry; a checkpoint file in the published layout or in SamModel's; a folder in
            SamModel's layout; or, as text, the hub id ``owner/name`` of such a folder.

    Returns:
        The network, on the CPU, and what to call it.

    Raises:
        CheckpointError: the weights are missing, damaged or of another model.
        UnknownModelError: neither a known name nor a file or folder.
    """
    given = str(model)
    if given in MODELS:
        network, path = build_model(given), locate(given)
        load_into(network, load_state_dict(path), given, str(path))
        return network, given
    path = Path(given).expanduser()
    if path.is_dir():
        return _load_folder(path)
    if isinstance(model, str) and is_repository(model) and not path.exists():
        network = read_folder(fetch_repository(model))
        return network, f"{_family_name(network)} ({model})"
    return _load_file(locate(given))


def _family_name(network: Sam) -> str:
    architecture = VitArchitecture.of(network)
    return next((name for name, known in VITS.items() if known.at(architecture.image_size) == architecture), "custom")


def _load_folder(folder: Path) -> tuple[Sam, str]:
    if (folder / CONFIG).is_file():
        network = read_folder(folder)
        return network, f"{_family_name(network)} ({folder.resolve().name})"
    if (folder / WEIGHTS[0]).is_file():
        return _load_file(folder / WEIGHTS[0])
    raise CheckpointError(
        f"{folder} is a folder without {CONFIG} and {WEIGHTS[0]}: give a checkpoint file, or a folder in the layout "
        "of Hugging Face's SamModel"
    )


def _load_file(path: Path) -> tuple[Sam, str]:
    tensors, facts = read_tensors(path), read_metadata(path)
    in_transformers_layout = is_transformers_layout(tensors)
    if in_transformers_layout and (path.parent / CONFIG).is_file():
        network = read_folder(path.parent, path)
        return network, f"{_family_name(network)} ({path.name})"
    state = to_published(tensors) if in_transformers_layout else tensors
    if _CONFIG_FACT in facts:
        network = read_config(_parse(facts, _CONFIG_FACT, path), f"the metadata of {path}").build()
        name = _family_name(network)
    else:
        try:
            name = guess_model(state, str(path))
        except UnknownModelError as error:
            if in_transformers_layout:
                raise CheckpointError(
                    f"{path} is in the layout of Hugging Face's SamModel, but of none of the published sizes: put "
                    f"its {CONFIG} beside it"
                ) from error
            raise
        network = build_model(name, _side(name, state, facts))
    load_into(network, state, name, str(path))
    if _PROCESSOR_FACT in facts:
        statistics = read_pixel_statistics(_parse(facts, _PROCESSOR_FACT, path), f"the metadata of {path}")
        set_pixel_statistics(network, *statistics)
    return network, f"{name} ({path.name})"


def _side(name: str, state: Mapping[str, Tensor], facts: Mapping[str, str]) -> int:
    positions = state.get("image_encoder.pos_embed")
    if positions is not None and positions.ndim == 4 and positions.shape[1] > 0:
        return 16 * positions.shape[1]
    side = facts.get("image_size", "")
    return int(side) if side.isdecimal() and int(side) > 0 and int(side) % 16 == 0 else model_spec(name).image_size


def _parse(facts: Mapping[str, str], key: str, path: Path) -> object:
    try:
        return json.loads(facts[key])
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {key} in its metadata is not JSON: {error}") from error


def save_network(network: Sam, path: str | Path) -> None:
    """Write a network as one ``.safetensors`` file with the published keys, which :func:`load_network` reads.

    Its metadata says the model's name, the side of its input and, where they are not the published ones, its sizes
    and its colour mean and deviation. The file is written beside ``path`` and renamed.

    Args:
        network: a member of the family at any side of the input, or a SAM with any plain vision transformer.
        path: the file; its name ends in ``.safetensors``.

    Raises:
        CheckpointError: the name has another ending, or the network is of another kind.
        OSError: the file cannot be written.
    """
    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"weights are saved as safetensors: give a name that ends in .safetensors, not {path.name}"
        )
    state = network.state_dict()
    facts = {"format": "pt", "image_size": str(network.input_side)}
    try:
        facts["model"] = _family_name(network)
    except ArchitectureError as reason:
        try:
            facts["model"] = guess_model(state, "this model")
        except UnknownModelError as error:
            raise CheckpointError(f"this model cannot be saved, because it could not be loaded: {reason}") from error
    with torch.device("meta"):
        if facts["model"] == "custom":
            architecture = VitArchitecture.of(network)
            facts[_CONFIG_FACT] = json.dumps(write_config(architecture))
            wanted = architecture.build().state_dict()
        else:
            wanted = build_model(facts["model"], network.input_side).state_dict()
    shapes, wanted_shapes = ({key: value.shape for key, value in part.items()} for part in (state, wanted))
    different = {key for key, _ in shapes.items() ^ wanted_shapes.items()}
    if different:
        raise CheckpointError(
            "this model cannot be saved, because it could not be loaded: its tensors are not those of "
            f"{'SAM' if _CONFIG_FACT in facts else facts['model']} (first difference {min(different)}); merge or "
            "remove adapters, or save its state_dict() yourself"
        )
    pixels = torch.cat([network.pixel_mean, network.pixel_std]).flatten().cpu()
    if not pixels.equal(torch.tensor([*PIXEL_MEAN, *PIXEL_STD])):
        facts[_PROCESSOR_FACT] = json.dumps(write_processor_config(network))
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_atomically(path, lambda beside: save_file(tensors, beside, metadata=facts))
