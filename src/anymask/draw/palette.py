"""Colours for masks: well apart from each other, and chosen so that neighbours are told apart."""

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.segment.masks import Masks

PALETTE: NDArray[np.uint8] = np.array(
    [
        (45, 125, 255),
        (255, 112, 67),
        (0, 200, 150),
        (236, 64, 180),
        (255, 202, 40),
        (140, 90, 255),
        (140, 214, 60),
        (0, 194, 232),
        (240, 62, 72),
        (255, 158, 200),
        (0, 150, 136),
        (190, 150, 255),
        (255, 160, 0),
        (110, 160, 30),
        (70, 85, 200),
        (200, 110, 60),
    ],
    dtype=np.uint8,
)
"""RGB colours [16, 3], uint8, the most used first; bright enough to read over dark and light photos."""


def neighbours(masks: Masks, gap: float) -> NDArray[np.bool_]:
    """Return which masks overlap or come within gap pixels of each other, bool [N, N], False on the diagonal.

    Boxes widened by the gap decide, except that a mask apart from another inside its box still counts:
    on a picture they read as neighbours.
    """
    boxes = masks.boxes.astype(np.float64) + np.array([-gap, -gap, gap, gap]) / 2
    low, high = boxes[:, :2], boxes[:, 2:]
    meet = (low[:, None] < high[None]) & (low[None] < high[:, None])
    near: NDArray[np.bool_] = meet[..., 0] & meet[..., 1]
    filled = masks.areas > 0
    near &= filled[:, None] & filled[None, :]
    np.fill_diagonal(near, False)
    return near


def assign_colors(masks: Masks, gap: float | None = None) -> NDArray[np.uint8]:
    """Choose an RGB colour for every mask, uint8 [N, 3], such that neighbours differ as far as possible.

    Masks are coloured from large to small. Each takes the colour whose distance in CIE Lab to its
    neighbours' colours is largest, nearer neighbours weighing more, and the least used among equals. gap
    is in pixels and defaults to a fiftieth of the image's long side. The choice depends only on the masks.
    """
    if len(masks) == 0:
        return np.zeros((0, 3), dtype=np.uint8)
    near = neighbours(masks, max(masks.size) / 50 if gap is None else gap)
    lab = cv2.cvtColor(PALETTE[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    # Beyond this distance two colours are plainly different, and variety matters more than yet more of it.
    apart = np.minimum(apart, 60.0)
    chosen = np.full(len(masks), -1)
    used = np.zeros(len(PALETTE))
    for index in np.argsort(-masks.areas, kind="stable"):
        around = chosen[near[index]]
        around = around[around >= 0]
        if len(around) == 0:
            distance = np.full(len(PALETTE), 60.0)
        else:
            counts = np.bincount(around, minlength=len(PALETTE))
            closest = apart[:, np.unique(around)].min(axis=1)
            # With more neighbours than colours, repeat the colour that fewest of them have.
            distance = closest - 60.0 * counts
        color = int(np.lexsort((np.arange(len(PALETTE)), used, -np.round(distance / 10)))[0])
        chosen[index] = color
        used[color] += 1
    colors: NDArray[np.uint8] = PALETTE[chosen]
    return colors
