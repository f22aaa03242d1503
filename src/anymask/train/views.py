"""From a data-set image to what one training step sees: a square view with a few masks, augmented."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.formats.datasets import InstanceDataset, Rle

# What the encoder sees as zero after normalisation, as in the padding at inference.
MEAN_COLOUR = (124, 116, 104)


@dataclass(frozen=True)
class View:
    """One augmented image.

    Attributes:
        image: uint8 RGB ``[S, S, 3]``.
        targets: uint8 coverage (0–255) of each mask on the decoder's grid ``[M, S/4, S/4]``.
        boxes: float32 ``[M, 4]`` (x0, y0, x1, y1) in view pixels.
    """

    image: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How views are cut and changed.

    Args:
        whole: share of views that show the whole image, padded as at inference.
        min_scale: smallest magnification relative to the whole image filling the view; below 1 the image is shrunk
            and the rest of the view is padding.
        max_scale: largest magnification. Large-scale jitter (Ghiasi et al. 2021, and the paper for its first data)
            is 0.1 to 2.0 with ``whole: 0`` and ``scale_spacing: linear``.
        scale_spacing: how magnifications are drawn: "ratio" (halving is as likely as doubling) or "linear".
        flip: chance of a mirror image.
        colour: strength of brightness, contrast, saturation and tint changes; 0 for none.
        grey: chance of a grey view.
        paste: chance that an object of another image is pasted in.
        min_area: masks smaller than this many view pixels are left out.
        max_share: masks that cover more of the view are left out (paper, appendix A).
    """

    whole: float = 0.4
    min_scale: float = 1.0
    max_scale: float = 3.0
    scale_spacing: str = "ratio"
    flip: float = 0.5
    colour: float = 0.3
    grey: float = 0.05
    paste: float = 0.35
    min_area: float = 40.0
    max_share: float = 0.9


def _draw_scale(augmentation: Augmentation, rng: np.random.Generator) -> float:
    if augmentation.scale_spacing == "linear":
        return float(rng.uniform(augmentation.min_scale, augmentation.max_scale))
    return float(np.exp(rng.uniform(np.log(augmentation.min_scale), np.log(augmentation.max_scale))))


def _window(
    height: int, width: int, side: int, scale: float, rng: np.random.Generator
) -> tuple[int, int, int, int, int, int]:
    """Choose a source window (x0, y0, x1, y1) and the size (w, h) at which it enters the view."""
    factor = side / max(height, width) * scale
    window_h, window_w = min(height, side / factor), min(width, side / factor)
    y0 = int(rng.uniform(0, height - window_h + 1e-6))
    x0 = int(rng.uniform(0, width - window_w + 1e-6))
    y1, x1 = min(height, y0 + max(1, round(window_h))), min(width, x0 + max(1, round(window_w)))
    view_w = min(side, max(1, int((x1 - x0) * factor + 0.5)))
    view_h = min(side, max(1, int((y1 - y0) * factor + 0.5)))
    return x0, y0, x1, y1, view_w, view_h


def _resize(array: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    shrinking = width < array.shape[1] or height < array.shape[0]
    resized = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _change_colours(
    image: NDArray[np.uint8], strength: float, grey: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if rng.random() < grey:
        return np.repeat(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[..., None], 3, axis=2)
    if strength <= 0:
        return image
    contrast = 1 + strength * rng.uniform(-1, 1)
    brightness = 128 * (1 - contrast) + 96 * strength * rng.uniform(-1, 1)
    saturation = 1 + strength * rng.uniform(-1, 1)
    tint = 1 + 0.4 * strength * rng.uniform(-1, 1, 3)
    # One matrix for all: saturation mixes every channel with the luma, the rest scales and shifts.
    luma = np.array([0.299, 0.587, 0.114])
    mix = (saturation * np.eye(3) + (1 - saturation) * luma[None, :]) * contrast * tint[:, None]
    matrix = np.concatenate([mix, np.full((3, 1), brightness)], axis=1).astype(np.float32)
    return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)


def _decode(rle: Rle) -> NDArray[np.uint8]:
    return np.asarray(coco_mask.decode(rle), dtype=np.uint8)


def _paste_object(
    image: NDArray[np.uint8],
    masks: list[NDArray[np.uint8]],
    source: InstanceDataset,
    rng: np.random.Generator,
) -> None:
    """Paste an object of another image into ``image`` and ``masks`` (both at view size), in place."""
    side = image.shape[0]
    index = int(rng.integers(len(source)))
    rles = source.masks(index)
    if not rles:
        return
    rle = rles[int(rng.integers(len(rles)))]
    x, y, w, h = (int(value) for value in coco_mask.toBbox(rle))
    if w < 12 or h < 12:
        return
    scale = side * float(np.exp(rng.uniform(np.log(0.1), np.log(0.7)))) / max(w, h)
    new_w, new_h = max(4, int(w * scale)), max(4, int(h * scale))
    pixels = _resize(np.ascontiguousarray(source.image(index)[y : y + h, x : x + w]), new_w, new_h)
    alpha = _resize(np.ascontiguousarray(_decode(rle)[y : y + h, x : x + w] * 255), new_w, new_h)
    if rng.random() < 0.5:
        pixels, alpha = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
    left, top = (
        int(rng.integers(-new_w // 4, side - new_w // 2)),
        int(rng.integers(-new_h // 4, side - new_h // 2)),
    )
    x0, y0, x1, y1 = max(0, left), max(0, top), min(side, left + new_w), min(side, top + new_h)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return
    pixels, alpha = (
        pixels[y0 - top : y1 - top, x0 - left : x1 - left],
        alpha[y0 - top : y1 - top, x0 - left : x1 - left],
    )
    weight = alpha[..., None].astype(np.float32) / 255
    area = image[y0:y1, x0:x1]
    area[...] = (weight * pixels + (1 - weight) * area).astype(np.uint8)
    solid = alpha >= 128
    for mask in masks:
        mask[y0:y1, x0:x1][solid] = 0
    pasted = np.zeros((side, side), np.uint8)
    pasted[y0:y1, x0:x1][solid] = 1
    masks.append(pasted)


def make_view(
    dataset: InstanceDataset,
    index: int,
    side: int,
    max_masks: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    paste_from: InstanceDataset | None = None,
) -> View | None:
    """Cut a training view out of one image.

    Args:
        dataset: where the image comes from.
        index: which image.
        side: side of the square view in pixels, a multiple of 4.
        max_masks: how many masks are kept, chosen at random.
        augmentation: how to cut and change it.
        rng: the only source of randomness.
        paste_from: the data set whose objects may be pasted in.

    Returns:
        The view, or None where no usable mask lies in the window.
    """
    rles = dataset.masks(index)
    if not rles:
        return None
    pixels = dataset.image(index)
    height, width = pixels.shape[:2]
    whole = rng.random() < augmentation.whole
    scale = 1.0 if whole else _draw_scale(augmentation, rng)
    x0, y0, x1, y1, view_w, view_h = _window(height, width, side, scale, rng)
    flip = rng.random() < augmentation.flip

    image = np.empty((side, side, 3), np.uint8)
    image[...] = MEAN_COLOUR
    part = _resize(np.ascontiguousarray(pixels[y0:y1, x0:x1]), view_w, view_h)
    image[:view_h, :view_w] = part[:, ::-1] if flip else part

    candidates = coco_mask.toBbox(rles)
    overlap_w = np.minimum(candidates[:, 0] + candidates[:, 2], x1) - np.maximum(candidates[:, 0], x0)
    overlap_h = np.minimum(candidates[:, 1] + candidates[:, 3], y1) - np.maximum(candidates[:, 1], y0)
    visible = np.flatnonzero((overlap_w > 1) & (overlap_h > 1))
    pasting = paste_from is not None and rng.random() < augmentation.paste
    masks: list[NDArray[np.uint8]] = []
    for chosen in rng.permutation(visible)[: 2 * max_masks]:
        window = np.ascontiguousarray(_decode(rles[chosen])[y0:y1, x0:x1])
        resized = (_resize(window * 255, view_w, view_h) >= 128).astype(np.uint8)
        mask = np.zeros((side, side), np.uint8)
        mask[:view_h, :view_w] = resized[:, ::-1] if flip else resized
        masks.append(mask)
        if not pasting and sum(int(kept.sum()) >= augmentation.min_area for kept in masks) >= max_masks:
            break
    if pasting:
        assert paste_from is not None
        _paste_object(image, masks, paste_from, rng)
        masks.reverse()
        # What was pasted beyond the picture's border becomes padding again, and is no part of the object.
        for mask in masks:
            mask[view_h:] = 0
            mask[:, view_w:] = 0
    kept = [
        mask for mask in masks if augmentation.min_area <= int(mask.sum()) <= augmentation.max_share * view_h * view_w
    ][:max_masks]
    if not kept:
        return None
    image = _change_colours(image, augmentation.colour, augmentation.grey, rng)
    if view_h < side:
        image[view_h:] = MEAN_COLOUR
    if view_w < side:
        image[:, view_w:] = MEAN_COLOUR
    boxes = np.array([cv2.boundingRect(mask) for mask in kept], dtype=np.float32)
    boxes[:, 2:] += boxes[:, :2]
    grid = side // 4
    targets = np.stack([_resize(mask * 255, grid, grid) for mask in kept])
    return View(image, targets, boxes)
