"""A picture of what pre-training fills in, for a person to see that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from anymask.atomic import write_atomically
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD
from anymask.train.views import MEAN_COLOUR

_GAP, _HEAD = 4, 16


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Turn normalised ``[B, 3, H, W]`` back into uint8 RGB ``[B, H, W, 3]``."""
    deviation, mean = torch.tensor(PIXEL_STD).reshape(3, 1, 1), torch.tensor(PIXEL_MEAN).reshape(3, 1, 1)
    pixels = (images.float().cpu() * deviation + mean).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def write_reconstructions(
    path: Path, originals: NDArray[np.uint8], hidden: NDArray[np.bool_], filled: NDArray[np.uint8]
) -> None:
    """Write a PNG with one row for each image: as it is, with what is masked grey, and filled in.

    Args:
        path: the PNG to write.
        originals: uint8 RGB ``[B, S, S, 3]``.
        hidden: masked pixels, ``[B, S, S]``.
        filled: uint8 RGB ``[B, S, S, 3]``.
    """
    count, side = originals.shape[:2]
    step = side + _GAP
    sheet = Image.new("RGB", (3 * step + _GAP, _HEAD + count * step + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    masked = np.where(hidden[..., None], np.array(MEAN_COLOUR, dtype=np.uint8), originals)
    for column, (title, pictures) in enumerate((("original", originals), ("masked", masked), ("filled in", filled))):
        draw.text((_GAP + column * step, 2), title, fill="black")
        for row in range(count):
            sheet.paste(Image.fromarray(pictures[row]), (_GAP + column * step, _HEAD + row * step))
    write_atomically(path, lambda target: sheet.save(target))
