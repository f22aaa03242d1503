"""Non-maximum suppression of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def suppress(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float) -> NDArray[np.intp]:
    """Choose boxes so that no two of them overlap by more than the threshold, better ones first.

    Args:
        boxes: ``[N, 4]`` (x0, y0, x1, y1); a box's area is (x1 - x0) · (y1 - y0).
        scores: ``[N]``; among equals the earlier one wins.
        iou_threshold: intersection over union above which the worse of two boxes goes.

    Returns:
        Positions of the chosen boxes, best first. Computed in float32, as the published implementation does. Two boxes
        without any area have no overlap, even if they are equal.
    """
    corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    ranking = np.argsort(-np.asarray(scores), kind="stable")
    x0, y0, x1, y1 = corners[ranking].T
    areas = (x1 - x0) * (y1 - y0)
    alive = np.ones(len(ranking), dtype=np.bool_)
    for place in range(len(ranking)):
        if not alive[place]:
            continue
        rest = slice(place + 1, None)
        width = np.minimum(x1[place], x1[rest]) - np.maximum(x0[place], x0[rest])
        height = np.minimum(y1[place], y1[rest]) - np.maximum(y0[place], y0[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        alive[rest] &= _iou(shared, areas[place] + areas[rest] - shared) <= iou_threshold
    chosen: NDArray[np.intp] = ranking[alive]
    return chosen


def _iou(shared: NDArray[np.float32], union: NDArray[np.float32]) -> NDArray[Any]:
    # The threshold stays in float64: 0.7 is a little more than 0.7 in float32, and equality does not suppress.
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).astype(np.float64)
