"""Which mask is seen where when small ones lie on large ones, and which are seen side by side."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anymask.segment.masks import Masks

_SIDE = 640
"""Neighbours are looked for on a map of at most this many cells a side: whoever looks at the picture sees no more."""

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def paint_order(masks: Masks) -> NDArray[np.intp]:
    """Order masks as they are painted and as `Masks.label_map` stacks them: large ones first; intp [N]."""
    order: NDArray[np.intp] = np.argsort(-masks.areas, kind="stable")
    return order


def small_map(labels: NDArray[np.int32], order: NDArray[np.intp]) -> NDArray[np.int32]:
    """Shrink a label map [H, W] to at most 640 cells a side without losing small masks; int32 [h, w].

    A cell has the label of the topmost mask in its square of pixels.
    """
    step = math.ceil(max(labels.shape) / _SIDE)
    height, width = (math.ceil(side / step) for side in labels.shape)
    rank = np.zeros(len(order) + 1, dtype=np.int32)
    rank[order + 1] = np.arange(1, len(order) + 1)
    topmost = np.zeros((height, width), dtype=np.int32)
    for top in range(step):
        for left in range(step):
            ranks = rank[labels[top::step, left::step]]
            part = topmost[: ranks.shape[0], : ranks.shape[1]]
            np.maximum(part, ranks, out=part)
    label = np.concatenate([[0], order + 1]).astype(np.int32)
    shrunk: NDArray[np.int32] = label[topmost]
    return shrunk


def neighbours(cells: NDArray[np.int32], gap: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the masks that are seen side by side on a label map.

    Args:
        cells: labels [h, w], 0 for background and i + 1 for mask i.
        gap: the distance in cells up to which masks count as neighbours; touching ones always do.

    Returns:
        Pairs of masks [P, 2], numbered from 0, each once and the lower number first; and how near they are [P], from
        1 for masks that touch to 1/4 for those that are as far apart as the gap.
    """
    pairs: dict[int, float] = {}
    count = int(cells.max(initial=0)) + 1
    reaches = sorted({1, max(1, round(gap / 2)), max(1, round(gap))})
    for nearness, reach in zip((1.0, 0.5, 0.25), reaches, strict=False):
        for down, right in _DIRECTIONS:
            first, second = _shifted(cells, down * reach, right * reach)
            differ = (first != second) & (first > 0) & (second > 0)
            low, high = np.minimum(first[differ], second[differ]), np.maximum(first[differ], second[differ])
            for code in np.unique((low.astype(np.int64) - 1) * count + high - 1).tolist():
                pairs.setdefault(code, nearness)
    codes = np.array(list(pairs), dtype=np.int64)
    return np.stack([codes // count, codes % count], axis=1), np.array(list(pairs.values()), dtype=np.float64)


def _shifted(cells: NDArray[np.int32], down: int, right: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lay a map over itself, moved by whole cells: the parts that lie on each other."""
    height, width = cells.shape
    down, across = min(down, height), min(abs(right), width)
    upper, lower = cells[: height - down], cells[down:]
    left, moved = (slice(0, width - across), slice(across, width))
    return (upper[:, left], lower[:, moved]) if right >= 0 else (upper[:, moved], lower[:, left])
