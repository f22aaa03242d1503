"""Colours for masks: well apart from each other, and chosen so that neighbours are told apart."""

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.draw.stacking import neighbours, paint_order, small_map
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

_PLAIN = 60.0
"""Beyond this distance in CIE Lab two colours are plainly different, and variety matters more than yet more of it."""

_SWEEPS = 4


def assign_colors(masks: Masks, gap: float | None = None, image: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Choose an RGB colour for every mask, uint8 [N, 3], such that neighbours differ plainly.

    Neighbours are masks that are seen side by side when small ones lie on large ones. Masks are coloured from large to
    small, each in the colour least like those of its neighbours, nearer ones weighing more, and the least used among
    equals; then each may choose again now that all have one.

    Args:
        masks: the masks.
        gap: up to how many pixels apart masks are neighbours; a fiftieth of the image's long side by default.
        image: RGB uint8 [H, W, 3]; with it, masks also avoid colours like that of the picture under them.

    The same masks on the same picture get the same colours.
    """
    if len(masks) == 0:
        return np.zeros((0, 3), dtype=np.uint8)
    order = paint_order(masks)
    cells = small_map(masks.label_map(), order)
    step = max(masks.size) / max(cells.shape)
    pairs, nearness = neighbours(cells, (max(masks.size) / 50 if gap is None else gap) / step)
    around: list[list[tuple[int, float]]] = [[] for _ in range(len(masks))]
    for (first, second), weight in zip(pairs.tolist(), nearness.tolist(), strict=True):
        around[first].append((second, weight))
        around[second].append((first, weight))
    lab = _to_lab(PALETTE)
    alike = _likeness(lab, lab)
    own = np.zeros((len(masks), len(PALETTE)))
    if image is not None:
        own = _likeness(_under(cells, len(masks), image), lab) / 2
    chosen = np.full(len(masks), -1)
    used = np.zeros(len(PALETTE))
    for _ in range(_SWEEPS):
        for index in order.tolist():
            if chosen[index] >= 0:
                used[chosen[index]] -= 1
            cost = own[index].copy()
            for other, weight in around[index]:
                if chosen[other] >= 0:
                    cost += weight * alike[chosen[other]]
            chosen[index] = np.lexsort((used, np.round(cost, 1)))[0]
            used[chosen[index]] += 1
    colors: NDArray[np.uint8] = PALETTE[chosen]
    return colors


def _to_lab(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    lab: NDArray[np.float32] = cv2.cvtColor(colors[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    return lab


def _likeness(these: NDArray[np.float32], those: NDArray[np.float32]) -> NDArray[np.float64]:
    """How alike colours in CIE Lab are, [N, M]: 1 for equal ones, 0 for plainly different ones."""
    distance = np.linalg.norm(these[:, None].astype(np.float64) - those[None], axis=2)
    likeness: NDArray[np.float64] = (1 - np.minimum(distance / _PLAIN, 1)) ** 2
    return likeness


def _under(cells: NDArray[np.int32], count: int, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average the picture where each mask is seen, in CIE Lab [N, 3]; far from any colour where it is not seen."""
    height, width = cells.shape
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    labels = cells.ravel()
    seen = np.bincount(labels, minlength=count + 1)[1:, None]
    sums = np.stack([np.bincount(labels, small[:, channel], count + 1)[1:] for channel in range(3)], axis=1)
    mean = (sums / np.maximum(seen, 1)).round().astype(np.uint8)
    return np.where(seen > 0, _to_lab(mean), np.float32(1e3))
