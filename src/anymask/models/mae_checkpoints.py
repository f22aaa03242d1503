"""Masked-autoencoder checkpoints of plain vision transformers, as weights of SAM's image encoders.

Two published layouts are read: that of the paper's own code (He et al. 2021, arXiv 2111.06377; timm's vision
transformers have the same keys) and that of ViTMAE in transformers, old keys and new.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from anymask.models.checkpoints import CheckpointError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.other_sides import resize_positions

_SIZES = {(768, 12): "vit_b", (1024, 24): "vit_l", (1280, 32): "vit_h"}

# Parts of a masked autoencoder, or of a classifier made from one, that have no place in SAM.
_DROPPED = re.compile(
    r"(cls_token|norm\.|fc_norm\.|head\.|mask_token|decoder_"
    r"|(vit\.)?(embeddings\.(cls_token|mask_token)|layernorm\.)|decoder\.)"
)
_PATCHES = re.compile(r"(?:vit\.)?embeddings\.patch_embeddings\.projection\.(weight|bias)")
_BLOCK = re.compile(r"(?:vit\.)?(?:encoder\.layer|layers|blocks)\.(\d+)\.(.+)\.(weight|bias)")
_POSITIONS = re.compile(r"pos_embed|(?:vit\.)?embeddings\.position_embeddings")

_LAYERS = {
    "norm1": "norm1",
    "attn.qkv": "attn.qkv",
    "attn.proj": "attn.proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.lin1",
    "mlp.fc2": "mlp.lin2",
    "layernorm_before": "norm1",
    "attention.output.dense": "attn.proj",
    "attention.o_proj": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.lin1",
    "output.dense": "mlp.lin2",
}
_PROJECTIONS = {
    "attention.attention.query": 0,
    "attention.attention.key": 1,
    "attention.attention.value": 2,
    "attention.q_proj": 0,
    "attention.k_proj": 1,
    "attention.v_proj": 2,
}


@dataclass(frozen=True)
class PlainTransformer:
    """What a masked-autoencoder checkpoint holds.

    Attributes:
        state: tensors by the keys of :class:`~anymask.models.image_encoder.ImageEncoderViT`, without its relative
            positions and neck; keys that are not known keep their name.
        grid: patches along a side in its pre-training.
        patch_size: side of its patches in pixels.
    """

    state: dict[str, Tensor]
    grid: int
    patch_size: int

    @property
    def width(self) -> int:
        """Channels of a token."""
        return int(self.state["patch_embed.proj.weight"].shape[0])

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return 1 + max((int(key.split(".")[1]) for key in self.state if re.match(r"blocks\.\d+\.", key)), default=-1)

    @property
    def model_name(self) -> str:
        """The member of the family whose encoder has this size; "" for none."""
        return _SIZES.get((self.width, self.depth), "")


def is_mae_checkpoint(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the layout of a plain vision transformer with a class token, in either spelling."""
    return any(
        token in state and projection in state
        for token, projection in (
            ("cls_token", "patch_embed.proj.weight"),
            ("embeddings.cls_token", "embeddings.patch_embeddings.projection.weight"),
            ("vit.embeddings.cls_token", "vit.embeddings.patch_embeddings.projection.weight"),
        )
    )


def _translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    translated: dict[str, Tensor] = {}
    projections: dict[str, dict[int, Tensor]] = {}
    names: dict[str, list[str]] = {}
    for key, value in state.items():
        if _DROPPED.match(key):
            continue
        if _POSITIONS.fullmatch(key):
            translated["pos_embed"] = value
        elif match := _PATCHES.fullmatch(key):
            translated[f"patch_embed.proj.{match[1]}"] = value
        elif (match := _BLOCK.fullmatch(key)) and match[2] in _LAYERS:
            translated[f"blocks.{match[1]}.{_LAYERS[match[2]]}.{match[3]}"] = value
        elif match and match[2] in _PROJECTIONS:
            joined = f"blocks.{match[1]}.attn.qkv.{match[3]}"
            projections.setdefault(joined, {})[_PROJECTIONS[match[2]]] = value
            names.setdefault(joined, []).append(key)
        else:
            translated[key] = value
    for joined, parts in projections.items():
        if len(parts) == 3:
            translated[joined] = torch.cat([parts[0], parts[1], parts[2]])
        else:
            translated |= {key: state[key] for key in names[joined]}
    return translated


def resample_patch_filters(weight: Tensor, size: int) -> Tensor:
    """Resample the filters of a patch embedding to another patch size.

    The new filters give an enlarged patch the token that the old ones gave the patch itself: with B the bicubic
    enlargement as a matrix, they are the smallest w' with Bᵀ w' = w (FlexiViT, Beyer et al. 2022, arXiv 2212.08013).
    ViTDet enlarged the filters themselves, which makes tokens about (16/14)² times as large.

    Args:
        weight: filters ``[D, 3, P, P]``.
        size: the new side in pixels, at least P for the tokens to be the same.

    Returns:
        Filters ``[D, 3, size, size]``.
    """
    old = weight.shape[-1]
    if old == size:
        return weight
    pixels = torch.eye(old * old, dtype=torch.float64).reshape(old * old, 1, old, old)
    enlarged = F.interpolate(pixels, size=(size, size), mode="bicubic", align_corners=False).flatten(1)
    resampled = weight.double().flatten(2) @ torch.linalg.pinv(enlarged).T
    return resampled.unflatten(-1, (size, size)).to(weight.dtype)


def read_mae_checkpoint(state: Mapping[str, Tensor], source: str) -> PlainTransformer:
    """Bring a masked-autoencoder checkpoint to the keys of SAM's image encoders.

    Class token, last normalisation, mask token, decoder and a classifier's head have no place there and are left out.

    Args:
        state: tensors by key, for which :func:`is_mae_checkpoint` is true.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: the positions are not those of a square grid and a class token, or the patches not square.
    """
    translated = _translate(state)
    filters, positions = translated["patch_embed.proj.weight"], translated.get("pos_embed")
    if filters.ndim != 4 or filters.shape[-1] != filters.shape[-2]:
        raise CheckpointError(f"{source} has patch filters of shape {tuple(filters.shape)}, wanted (width, 3, P, P)")
    grid = math.isqrt(max(0, positions.shape[1] - 1)) if positions is not None and positions.ndim == 3 else 0
    if positions is None or positions.ndim != 3 or grid == 0 or positions.shape[1] != grid * grid + 1:
        given = "missing" if positions is None else f"of shape {tuple(positions.shape)}"
        raise CheckpointError(f"{source} has positions {given}, wanted (1, 1 + rows², width): a class token and a grid")
    translated["pos_embed"] = positions[:, 1:].unflatten(1, (grid, grid))
    return PlainTransformer(translated, grid, filters.shape[-1])


def fit_to_encoder(
    plain: PlainTransformer, encoder: ImageEncoderViT, model_name: str, source: str
) -> dict[str, Tensor]:
    """Make a plain transformer's tensors those of one of SAM's image encoders.

    Positions are interpolated bicubically to the encoder's grid, filters of other patches resampled, and relative
    positions, which a plain transformer has none of, are zero. The neck is not among the tensors.

    Raises:
        CheckpointError: the width or the depth is another than the encoder's; the message names the model that the
            checkpoint is for.
    """
    filters = encoder.patch_embed.proj.weight
    if (plain.width, plain.depth) != (filters.shape[0], len(encoder.blocks)):
        known = f"the size of {plain.model_name}" if plain.model_name else "the size of no known model"
        raise CheckpointError(
            f"{source} is a masked autoencoder's encoder of width {plain.width} and depth {plain.depth}, {known}; "
            f"{model_name} has width {filters.shape[0]} and depth {len(encoder.blocks)}"
        )
    fitted = dict(plain.state)
    fitted["patch_embed.proj.weight"] = resample_patch_filters(fitted["patch_embed.proj.weight"], filters.shape[-1])
    if encoder.pos_embed is not None:
        fitted["pos_embed"] = resize_positions(fitted["pos_embed"], encoder.pos_embed.shape[1])
    for key, value in encoder.state_dict().items():
        if ".rel_pos_" in key:
            fitted[key] = torch.zeros_like(value)
    return fitted
