"""Starting weights: from a file, or such that the mask decoder learns quickly."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from anymask.models.checkpoints import CheckpointError, load_into, load_state_dict
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.mae_checkpoints import fit_to_encoder, is_mae_checkpoint, read_mae_checkpoint
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.other_sides import fit_to_side
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.registry import UnknownModelError, guess_model
from anymask.models.sam import Sam
from anymask.models.transformer import TwoWayAttentionBlock

_ENCODER = "image_encoder."


def _match_positions(query: nn.Linear, key: nn.Linear) -> None:
    weight = torch.empty_like(query.weight)
    nn.init.orthogonal_(weight)
    query.weight.copy_(weight)
    key.weight.copy_(weight)
    for bias in (query.bias, key.bias):
        assert isinstance(bias, Tensor)
        bias.zero_()


@torch.no_grad()
def initialise_decoder(prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder, token_scale: float = 0.2) -> None:
    """Let the cross-attentions begin by matching positions.

    With SAM's random start the decoder answers "all is background" for thousands of steps, because no token
    finds its place in the image. With equal orthogonal query and key projections and small learned tokens, a
    prompt attends to where it lies from the first step on.

    Args:
        prompt_encoder: its learned tokens are shrunk.
        mask_decoder: its tokens are shrunk and its cross-attentions set.
        token_scale: factor on the learned tokens, whose usual deviation is 1.
    """
    for layer in mask_decoder.transformer.layers:
        assert isinstance(layer, TwoWayAttentionBlock)
        for attention in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token):
            _match_positions(attention.q_proj, attention.k_proj)
    final = mask_decoder.transformer.final_attn_token_to_image
    _match_positions(final.q_proj, final.k_proj)
    learned = [
        *prompt_encoder.point_embeddings,
        prompt_encoder.not_a_point_embed,
        prompt_encoder.no_mask_embed,
        mask_decoder.iou_token,
        mask_decoder.mask_tokens,
    ]
    for embedding in learned:
        assert isinstance(embedding.weight, Tensor)
        nn.init.normal_(embedding.weight, std=token_scale)


def load_initial(model: Sam, path: str | Path, model_name: str) -> str:
    """Begin with the weights of a file.

    The file may hold

    - a checkpoint of the same model. Made for another input side, its absolute positions are interpolated
      bicubically and the relative positions of its global blocks linearly;
    - an image encoder that ``anymask pretrain`` wrote;
    - a vision transformer pre-trained as a masked autoencoder, in the layout of the paper's code or of ViTMAE in
      transformers. Its class token goes, its positions are interpolated, relative positions begin at zero.

    Everything else is strict: nothing may be missing, and nothing foreign.

    Args:
        model: receives the weights. Where the file holds an encoder alone, neck (of a masked autoencoder), prompt
            encoder and mask decoder stay as they are.
        path: the file.
        model_name: the model's name, for messages.

    Returns:
        One line that says what was loaded and what was not.

    Raises:
        CheckpointError: the file cannot be read, or does not belong to the model; the message says what does not fit.
    """
    state = load_state_dict(path)
    source = str(path)
    if is_mae_checkpoint(state):
        return _load_mae(model, state, model_name, source)
    if all(key.startswith(_ENCODER) for key in state):
        return _load_encoder(model, state, model_name, source)
    fitted = fit_to_side(state, model.image_encoder)
    try:
        load_into(model, fitted, model_name, source)
    except CheckpointError as error:
        owner = _owner(state, source)
        if owner in ("", model_name):
            raise
        raise CheckpointError(f"{error}; it seems to be made for {owner}") from error
    return f"loaded all of {model_name} from {source}{_interpolated(state, fitted)}"


def _load_mae(model: Sam, state: dict[str, Tensor], model_name: str, source: str) -> str:
    plain = read_mae_checkpoint(state, source)
    encoder = model.image_encoder
    if not isinstance(encoder, ImageEncoderViT):
        advice = f"; train {plain.model_name} from it" if plain.model_name else ""
        raise CheckpointError(
            f"{source} is a masked autoencoder's vision transformer of width {plain.width} and depth {plain.depth}, "
            f"but the image encoder of {model_name} is none{advice}"
        )
    fitted = {_ENCODER + key: value for key, value in fit_to_encoder(plain, encoder, model_name, source).items()}
    kept = {key: value for key, value in model.state_dict().items() if not _is_transformer(key)}
    load_into(model, {**kept, **fitted}, model_name, source)
    grid = model.input_side // 16
    changes = [f"positions interpolated from {plain.grid}² to {grid}²"] if plain.grid != grid else []
    if plain.patch_size != encoder.patch_embed.proj.weight.shape[-1]:
        changes.append(f"patch filters resampled from {plain.patch_size} to 16 pixels")
    changes.append("relative positions zero")
    return (
        f"loaded the image encoder of {model_name} from the masked autoencoder {source} ({', '.join(changes)}); "
        "neck, prompt encoder and mask decoder stay as they were"
    )


def _load_encoder(model: Sam, state: dict[str, Tensor], model_name: str, source: str) -> str:
    fitted = fit_to_side(state, model.image_encoder)
    rest = {key: value for key, value in model.state_dict().items() if not key.startswith(_ENCODER)}
    parts = ["prompt encoder", "mask decoder"]
    if isinstance(model.image_encoder, ImageEncoderViT):
        # Masked autoencoding trains neither of the two.
        if not any(key.startswith(_ENCODER + "neck.") for key in state):
            rest |= {key: value for key, value in model.state_dict().items() if key.startswith(_ENCODER + "neck.")}
            parts.insert(0, "neck")
        if not any(".rel_pos_" in key for key in state):
            for key, value in model.state_dict().items():
                if ".rel_pos_" in key:
                    rest[key] = torch.zeros_like(value)
    try:
        load_into(model, {**fitted, **rest}, model_name, source)
    except CheckpointError as error:
        owner = _owner(state, source)
        if owner in ("", model_name):
            raise
        raise CheckpointError(
            f"{source} holds the image encoder of {owner}, not of {model_name}; train {owner} from it"
        ) from error
    return (
        f"loaded the image encoder of {model_name} from {source}{_interpolated(state, fitted)}; "
        f"{', '.join(parts[:-1])} and {parts[-1]} stay as they were"
    )


def _owner(state: dict[str, Tensor], source: str) -> str:
    try:
        return guess_model(state, source)
    except UnknownModelError:
        return ""


def _is_transformer(key: str) -> bool:
    return key.startswith(_ENCODER) and not key.startswith(_ENCODER + "neck.")


def _interpolated(before: dict[str, Tensor], after: dict[str, Tensor]) -> str:
    key = _ENCODER + "pos_embed"
    if key not in before or before[key].shape == after[key].shape:
        return ""
    return f" (positions interpolated from {before[key].shape[1]}² to {after[key].shape[1]}²)"
