"""Masks, points and boxes on matplotlib axes, called as in the example notebooks of segment-anything.

These paint on whatever `ax` already shows; matplotlib itself is imported only by `show_anns`, and only if
no axes are given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymask.draw.palette import PALETTE, assign_colors
from anymask.segment.errors import MaskError, MissingPackageError
from anymask.segment.masks import Masks

MASK_ALPHA = 0.6
ANNOTATION_ALPHA = 0.4


def show_mask(mask: ArrayLike | Masks, ax: Any, random_color: bool = False) -> None:
    """Paint one mask, [H, W] or [1, H, W] or a Masks of length 1, on the axes; blue or a random colour."""
    pixels = np.asarray(mask)
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 2:
        raise MaskError(f"show_mask paints one mask, [H, W] or [1, H, W], got {list(pixels.shape)}")
    color = np.random.default_rng().random(3) if random_color else PALETTE[0] / 255
    ax.imshow(_layer(pixels != 0, color, MASK_ALPHA))


def show_points(coords: ArrayLike, labels: ArrayLike, ax: Any, marker_size: float = 375) -> None:
    """Draw points [K, 2] of (x, y) as stars, green where labels [K] is 1 and red where it is 0."""
    at, kind = np.asarray(coords).reshape(-1, 2), np.asarray(labels).reshape(-1)
    if len(at) != len(kind):
        raise MaskError(f"every point needs a label: {len(at)} points, {len(kind)} labels")
    for label, color in ((1, "green"), (0, "red")):
        chosen = at[kind == label]
        ax.scatter(
            chosen[:, 0],
            chosen[:, 1],
            color=color,
            marker="*",
            s=marker_size,
            edgecolor="white",
            linewidth=1.25,
        )


def show_box(box: ArrayLike, ax: Any) -> None:
    """Draw the outline of a box (x0, y0, x1, y1) in green."""
    x0, y0, x1, y1 = np.asarray(box, dtype=float).reshape(4).tolist()
    ax.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="green", linewidth=2)


def show_anns(anns: Masks | Sequence[Mapping[str, Any]], ax: Any = None) -> None:
    """Paint all masks on the axes (the current ones if none are given), small ones on top.

    anns is a Masks, or dicts with "segmentation" (boolean array [H, W], or COCO RLE). Draws nothing for
    none. Raises MissingPackageError if matplotlib is needed and not installed.
    """
    masks = anns if isinstance(anns, Masks) else _masks_from(anns)
    if len(masks) == 0:
        return
    axes = _current_axes() if ax is None else ax
    colors = assign_colors(masks)
    layer = np.zeros((*masks.size, 4), dtype=np.float32)
    numbers = masks.label_map()
    painted = numbers > 0
    layer[painted, :3] = colors[numbers[painted] - 1] / np.float32(255)
    layer[painted, 3] = ANNOTATION_ALPHA
    axes.set_autoscale_on(False)
    axes.imshow(layer)


def _masks_from(anns: Sequence[Mapping[str, Any]]) -> Masks:
    if len(anns) == 0:
        return Masks.empty((1, 1))
    parts = []
    for ann in anns:
        segmentation = ann["segmentation"]
        one = (
            Masks.from_rles([segmentation])
            if isinstance(segmentation, Mapping)
            else Masks.from_arrays(np.asarray(segmentation))
        )
        parts.append(one)
    return Masks.concatenate(parts)


def _layer(mask: NDArray[np.bool_], color: NDArray[Any], alpha: float) -> NDArray[np.float32]:
    layer = np.zeros((*mask.shape, 4), dtype=np.float32)
    layer[mask] = [*color, alpha]
    return layer


def _current_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingPackageError("show_anns needs matplotlib; install it with `pip install anymask[plot]`") from error
    return pyplot.gca()
