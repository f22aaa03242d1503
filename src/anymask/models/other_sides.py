"""SAM encoders at another input side than their weights were made for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.image_encoder import Block, ImageEncoderViT


def resize_positions(positions: Tensor, grid: int) -> Tensor:
    """Interpolate absolute positions ``[1, G, G, D]`` bicubically to ``[1, grid, grid, D]``."""
    if positions.shape[1:3] == (grid, grid):
        return positions
    channels_first = positions.permute(0, 3, 1, 2).float()
    resized = F.interpolate(channels_first, size=(grid, grid), mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1).contiguous()


def resize_relative_positions(table: Tensor, grid: int) -> Tensor:
    """Interpolate a table of relative positions ``[2·G - 1, c]`` linearly to ``[2·grid - 1, c]``."""
    length = 2 * grid - 1
    if table.shape[0] == length:
        return table
    return F.interpolate(table.T[None].float(), size=length, mode="linear")[0].T.contiguous()


def fit_to_side(state: Mapping[str, Tensor], encoder: nn.Module, prefix: str = "image_encoder.") -> dict[str, Tensor]:
    """Interpolate the tensors of a state dict that depend on the input's side to the side of ``encoder``.

    These are a vision transformer's absolute positions and the relative positions of its global blocks; tables of
    windowed blocks depend on the window alone. Tensors that are not square grids of the encoder's width are left
    alone, so that loading reports them.

    Args:
        state: tensors by key.
        encoder: the image encoder that is going to receive them.
        prefix: what comes before the encoder's keys in ``state``.

    Returns:
        The state dict with those tensors replaced; the same tensors where the side is the encoder's already or the
        encoder does not depend on it.
    """
    fitted = dict(state)
    positions = fitted.get(prefix + "pos_embed")
    if not isinstance(encoder, ImageEncoderViT) or encoder.pos_embed is None or positions is None:
        return fitted
    rows, width = encoder.pos_embed.shape[1], encoder.pos_embed.shape[-1]
    if positions.ndim != 4 or positions.shape != (1, positions.shape[1], positions.shape[1], width):
        return fitted
    length = 2 * positions.shape[1] - 1
    fitted[prefix + "pos_embed"] = resize_positions(positions, rows)
    for index, block in enumerate(encoder.blocks):
        assert isinstance(block, Block)
        if block.window_size > 0:
            continue
        for axis in "hw":
            key = f"{prefix}blocks.{index}.attn.rel_pos_{axis}"
            if key in fitted and fitted[key].ndim == 2 and fitted[key].shape[0] == length:
                fitted[key] = resize_relative_positions(fitted[key], rows)
    return fitted
