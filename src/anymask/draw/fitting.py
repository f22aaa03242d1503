"""Pictures and their masks made to fit into a square."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.segment.masks import Masks

_PIXELS_SHOW = 4
"""Enlarged so many times, pixels are shown as they are; smoothed ones would look like what is not there."""


def fit(image: NDArray[np.uint8], masks: Masks, side: int) -> tuple[NDArray[np.uint8], Masks]:
    """Shrink or enlarge a picture and its masks so that the long side has ``side`` pixels.

    Drawing on the result keeps lines equally thin on all pictures. No mask vanishes but those without a pixel.

    Args:
        image: RGB uint8 ``[H, W, 3]``.
        masks: masks of the image's size.
        side: of the result, in pixels.

    Returns:
        The picture, RGB uint8 ``[h, w, 3]``, and as many masks in the same order, with the same scores and labels.
    """
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    enlarging = cv2.INTER_NEAREST if scale >= _PIXELS_SHOW else cv2.INTER_CUBIC
    shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else enlarging)
    arrays = np.zeros((len(masks), height, width), dtype=np.bool_)
    for index in np.flatnonzero(masks.areas).tolist():
        box = masks.boxes[index] * (np.array([width, height] * 2) / np.array(masks.size[::-1] * 2))
        left, top = min(int(box[0] + 0.5), width - 1), min(int(box[1] + 0.5), height - 1)
        right, bottom = max(left + 1, int(box[2] + 0.5)), max(top + 1, int(box[3] + 0.5))
        arrays[index, top:bottom, left:right] = _resized(masks.crop(index), (right - left, bottom - top))
    return np.asarray(shown, dtype=np.uint8), Masks.from_arrays(arrays, scores=masks.scores, labels=masks.labels)


def _resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize a mask that is not empty to (width, height); at least the pixel that it covers most stays."""
    grows = size[0] >= mask.shape[1] and size[1] >= mask.shape[0]
    method = cv2.INTER_NEAREST if grows else cv2.INTER_AREA
    covered = cv2.resize(mask.astype(np.float32), size, interpolation=method)
    kept: NDArray[np.bool_] = covered >= min(0.5, covered.max())
    return kept
