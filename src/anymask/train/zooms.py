"""Parts of an image, shown to the frozen encoder as if they were images: small objects become larger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.formats.instances import Rle
from anymask.segment import rle
from anymask.segment.frame import MASK_PROMPT_LOGIT, Frame

MAX_ZOOM = 3.0
"""The smallest window is the image's sides divided by this."""

SMALLEST_WINDOW = 48
"""Windows have no side shorter than so many pixels, unless the image has."""

MIN_CELLS = 1.0
"""A target must cover so many cells of the decoder's grid; what is smaller is no shape any more."""

MAX_SHARE = 0.9
"""Targets that cover more of the window are left out (paper, appendix A)."""


@dataclass(frozen=True)
class Zoom:
    """A window of an image, possibly mirrored.

    Attributes:
        box: (x0, y0, x1, y1) in whole pixels of the image.
        flip: whether left and right are exchanged.
    """

    box: tuple[int, int, int, int]
    flip: bool = False

    def cut(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Cut the window out of ``[H, W, ...]``."""
        x0, y0, x1, y1 = self.box
        part = pixels[y0:y1, x0:x1]
        return np.ascontiguousarray(part[:, ::-1] if self.flip else part)

    def frame(self, side: int) -> Frame:
        """Return where the window lies in a model input of ``side`` pixels."""
        x0, y0, x1, y1 = self.box
        return Frame(y1 - y0, x1 - x0, side)


def whole_image(size: tuple[int, int]) -> Zoom:
    """Return the window that is the whole image of (height, width), as at inference."""
    return Zoom((0, 0, size[1], size[0]))


def choose_zooms(masks: Sequence[Rle], count: int, seed: int) -> list[Zoom]:
    """Choose windows of one image: the whole of it first, then parts that each show some object.

    Args:
        masks: the objects, at least one.
        count: how many windows.
        seed: decides them, together with the masks.
    """
    height, width = masks[0]["size"]
    boxes = rle.box(masks)
    boxes = boxes[rle.area(masks) > 0]
    zooms = [whole_image((height, width))]
    for number in range(1, count):
        rng = np.random.default_rng((seed, number))
        scale = float(np.exp(rng.uniform(0, np.log(MAX_ZOOM))))
        window_h = min(height, max(SMALLEST_WINDOW, round(height / scale)))
        window_w = min(width, max(SMALLEST_WINDOW, round(width / scale)))
        x0, y0, x1, y1 = boxes[int(rng.integers(len(boxes)))] if len(boxes) else (0, 0, width, height)
        left = int(np.clip((x0 + x1) / 2 - window_w * rng.uniform(0.2, 0.8), 0, width - window_w))
        top = int(np.clip((y0 + y1) / 2 - window_h * rng.uniform(0.2, 0.8), 0, height - window_h))
        zooms.append(Zoom((left, top, left + window_w, top + window_h), bool(rng.random() < 0.5)))
    return zooms


def zoomed_targets(
    masks: Sequence[Rle], zoom: Zoom, side: int, max_masks: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw masks that are visible in a window and bring them to the decoder's grid.

    Args:
        masks: all masks of the image.
        zoom: the window.
        side: side of the model input in pixels.
        max_masks: how many at most.
        rng: decides which.

    Returns:
        Coverage ``[M, side/4, side/4]`` between 0 and 1, and boxes ``[M, 4]`` in model-input pixels, float32. M may
        be 0.
    """
    frame, grid = zoom.frame(side), side // 4
    x0, y0, x1, y1 = zoom.box
    boxes = rle.box(masks)
    seen = (np.minimum(boxes[:, 2], x1) > np.maximum(boxes[:, 0], x0)) & (
        np.minimum(boxes[:, 3], y1) > np.maximum(boxes[:, 1], y0)
    )
    coverage, corners = [], []
    for index in rng.permutation(np.flatnonzero(seen)):
        inside = rle.decode_crop(masks[index], zoom.box)
        mask = np.ascontiguousarray(inside[:, ::-1] if zoom.flip else inside)
        cells = np.count_nonzero(mask) * (frame.scale * grid / side) ** 2
        if cells < MIN_CELLS or np.count_nonzero(mask) > MAX_SHARE * mask.size:
            continue
        coverage.append((frame.mask_to_logits(mask, grid) / MASK_PROMPT_LOGIT + 1) / 2)
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        corners.append(frame.boxes_to_model([left, top, left + width, top + height]))
        if len(coverage) == max_masks:
            break
    if not coverage:
        return torch.zeros(0, grid, grid), torch.zeros(0, 4)
    return torch.from_numpy(np.stack(coverage)), torch.from_numpy(np.stack(corners))
