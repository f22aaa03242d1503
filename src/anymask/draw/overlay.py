"""Masks, points and boxes painted on a picture."""

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from anymask.draw.palette import assign_colors
from anymask.draw.stacking import paint_order
from anymask.segment.errors import ImageError, MaskError, PromptError
from anymask.segment.masks import Masks
from anymask.segment.pixels import read_image

FOREGROUND_COLOR = (46, 204, 90)
BACKGROUND_COLOR = (230, 50, 50)
BOX_COLOR = (60, 220, 90)
WHITE = (255, 255, 255)

_SHIFT = 4
"""OpenCV takes fractions of a pixel as integers shifted by this many bits."""

_ROWS = 256
"""Rows that are blended at a time, so that a large picture needs little memory."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def overlay(
    image: Any,
    masks: Masks | ArrayLike | None = None,
    *,
    points: ArrayLike | None = None,
    point_labels: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    alpha: float = 0.5,
    contours: bool = True,
    colors: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Paint masks, then boxes, then points on a copy of the image; returns RGB uint8 [H, W, 3].

    Args:
        image: anything that `read_image` takes.
        masks: Masks, or a boolean array [N, H, W] or [H, W]; of the image's size. Small ones go on top.
        points: [K, 2] of (x, y) in pixels of the image, drawn as stars.
        point_labels: [K], 1 foreground (green) or 0 background (red); foreground if left out.
        boxes: [K, 4] or [4] of (x0, y0, x1, y1) in pixels of the image.
        alpha: how strongly masks cover the picture, from 0 (not at all) to 1.
        contours: whether each mask gets a thin outline.
        colors: RGB for each mask, [N, 3] of 0..255; by default neighbours get different colours.

    Lines and stars grow with the image, so that they read the same on any. Raises ImageError, MaskError or
    PromptError for what cannot be drawn.
    """
    canvas = read_image(image).copy()
    if not 0.0 <= alpha <= 1.0:
        raise MaskError(f"alpha is from 0 (masks invisible) to 1 (opaque), got {alpha}")
    if masks is not None:
        shown = masks if isinstance(masks, Masks) else Masks.from_arrays(masks)
        _paint_masks(canvas, shown, alpha, contours, colors)
    if boxes is not None:
        _paint_boxes(canvas, _rows(boxes, 4, "boxes"))
    if points is not None:
        at = _rows(points, 2, "points")
        labels = np.ones(len(at), dtype=int) if point_labels is None else np.asarray(point_labels).reshape(-1)
        if len(labels) != len(at) or not np.isin(labels, (0, 1)).all():
            raise PromptError(
                f"point_labels are 1 (foreground) or 0 (background), one for each of the {len(at)} points, "
                f"got {labels.tolist()}"
            )
        _paint_points(canvas, at, labels)
    elif point_labels is not None:
        raise PromptError("point_labels were given without points")
    return canvas


def draw_masks(masks: Masks, image: Any, **options: Any) -> Image.Image:
    """Return `overlay` as a Pillow image, which can be shown and saved; the implementation of Masks.draw.

    image is anything that `read_image` takes, or an object that carries such a thing as its attribute
    `image` (an encoded photo). Raises ImageError if that photo no longer has its pixels.
    """
    source = getattr(image, "image", image) if not isinstance(image, Image.Image | np.ndarray) else image
    if source is None:
        raise ImageError("this encoded image was stored without its pixels; pass the picture itself to draw on")
    return Image.fromarray(overlay(source, masks, **options))


def line_width(size: tuple[int, int]) -> int:
    """Return the width in pixels of boxes and stars on an image of (height, width): about 2 at 1,000 pixels."""
    return max(1, round(max(size) / 600))


def contour_width(size: tuple[int, int]) -> int:
    """Return the width in pixels of masks' outlines on an image of (height, width): 1 at 1,000 pixels."""
    return max(1, round(max(size) / 1000))


def _paint_masks(
    canvas: NDArray[np.uint8], masks: Masks, alpha: float, contours: bool, colors: ArrayLike | None
) -> None:
    if masks.size != canvas.shape[:2]:
        height, width = masks.size
        raise MaskError(
            f"the masks are of a {width} x {height} image, this one has {canvas.shape[1]} x {canvas.shape[0]}"
        )
    labels = masks.label_map()
    palette = assign_colors(masks, image=canvas) if colors is None else np.asarray(colors).reshape(-1, 3)
    if len(palette) != len(masks):
        raise MaskError(f"colors must be one RGB for each of the {len(masks)} masks, got {len(palette)}")
    _fill(canvas, labels, palette.astype(np.uint8), alpha)
    if contours:
        rank = np.zeros(len(masks) + 1, dtype=np.int64)
        order = paint_order(masks)
        rank[order + 1] = np.arange(1, len(masks) + 1)
        for index in order.tolist():
            if masks.areas[index]:
                _paint_outline(canvas, masks, index, labels, rank, palette[index])


def _fill(canvas: NDArray[np.uint8], labels: NDArray[np.int32], colors: NDArray[np.uint8], alpha: float) -> None:
    """Blend each pixel with the colour of its topmost mask alone, so that stacked masks keep their colours apart."""
    table = np.concatenate([np.zeros((1, 3), dtype=np.uint8), colors])
    for top in range(0, len(canvas), _ROWS):
        rows, its_labels = canvas[top : top + _ROWS], labels[top : top + _ROWS]
        blended = cv2.addWeighted(rows, 1 - alpha, table[its_labels], alpha, 0)
        np.copyto(rows, blended, where=(its_labels > 0)[..., None])


def _paint_outline(
    canvas: NDArray[np.uint8],
    masks: Masks,
    index: int,
    labels: NDArray[np.int32],
    rank: NDArray[np.int64],
    color: NDArray[Any],
) -> None:
    """Draw a thin line along the inner edge of one mask, under the smaller masks that lie on it."""
    height, width = canvas.shape[:2]
    thickness = contour_width((height, width))
    x0, y0, x1, y1 = masks.boxes[index].astype(int).tolist()
    left, top, right, bottom = (
        max(x0 - thickness, 0),
        max(y0 - thickness, 0),
        min(x1 + thickness, width),
        min(y1 + thickness, height),
    )
    line = np.zeros((bottom - top, right - left), dtype=np.uint8)
    inside = masks.crop(index).view(np.uint8)
    rings, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(x0 - left, y0 - top))
    # Where a mask ends with the picture there is no edge to show, so the line goes on outside.
    first, last = np.array([-left, -top]), np.array([width - 1 - left, height - 1 - top])
    paths = []
    for ring in rings:
        pixels = ring.reshape(-1, 2)
        outwards = (pixels == last).astype(np.float64) - (pixels == first)
        paths.append(_fixed_point(_smooth(pixels + 4 * thickness * outwards, thickness)))
    cv2.polylines(cast(Any, line), paths, True, 255, thickness, cv2.LINE_AA, _SHIFT)
    found = cv2.findNonZero(line)
    if found is None:
        return
    columns, rows = found.reshape(-1, 2).T
    seen = rank[labels[rows + top, columns + left]] <= rank[index + 1]
    rows, columns = rows[seen], columns[seen]
    strength = line[rows, columns].astype(np.float32)[:, None] / 255
    below = canvas[rows + top, columns + left].astype(np.float32)
    mixed = below + (_outline_color(color, below) - below) * strength
    canvas[rows + top, columns + left] = np.rint(mixed).astype(np.uint8)


def _outline_color(color: NDArray[Any], below: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tint of the fill's colour where it lies on something dark, a shade of it where it lies on something bright."""
    full = color.astype(np.float32)
    brightness = float((below @ _LUMA).mean()) if len(below) else 0.0
    return full + (255 - full) * np.float32(0.55) if brightness < 150 else full * np.float32(0.6)


def _smooth(ring: NDArray[np.float64], thickness: int) -> NDArray[np.float64]:
    """Even out the steps of a ring [K, 2] of pixel centres, and keep every few of its points.

    Rings too short for it stay as they are.
    """
    reach = thickness + 1
    if len(ring) <= 4 * reach:
        return ring
    wrapped = np.concatenate([ring[-reach:], ring, ring[:reach]])
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), wrapped]), axis=0)
    evened: NDArray[np.float64] = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)
    return evened[:: max(1, thickness)]


def _paint_boxes(canvas: NDArray[np.uint8], boxes: NDArray[np.float64]) -> None:
    width = line_width((canvas.shape[0], canvas.shape[1]))
    for x0, y0, x1, y1 in boxes:
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float32) - 0.5
        path = _fixed_point(corners)
        cv2.polylines(cast(Any, canvas), [path], True, BOX_COLOR, width + 1, cv2.LINE_AA, _SHIFT)


def _paint_points(canvas: NDArray[np.uint8], points: NDArray[np.float64], labels: NDArray[Any]) -> None:
    radius = max(4.0, max(canvas.shape[:2]) / 65)
    width = line_width((canvas.shape[0], canvas.shape[1]))
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2 == 0, 1.0, 0.45)
    star = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None] * radius
    for point, label in zip(points, labels, strict=True):
        path = _fixed_point(star + point - 0.5)
        color = FOREGROUND_COLOR if label == 1 else BACKGROUND_COLOR
        cv2.polylines(cast(Any, canvas), [path], True, WHITE, 2 * width + 1, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(cast(Any, canvas), [path], color, cv2.LINE_AA, _SHIFT)


def _fixed_point(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    # Far beyond any image, and still inside 32 bits after the shift.
    limited = np.clip(points, -1e6, 1e6)
    shifted: NDArray[np.int32] = np.rint(limited * (1 << _SHIFT)).astype(np.int32)
    return shifted


def _rows(values: ArrayLike, length: int, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape == (length,):
        array = array[None]
    if array.size == 0:
        return array.reshape(0, length)
    if array.ndim != 2 or array.shape[1] != length or not np.isfinite(array).all():
        raise PromptError(f"{name} must be finite numbers of shape [K, {length}], got {list(array.shape)}")
    return array
