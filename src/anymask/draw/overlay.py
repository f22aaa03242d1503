"""Masks, points and boxes painted on a picture."""

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from anymask.draw.palette import assign_colors
from anymask.segment.errors import ImageError, MaskError, PromptError
from anymask.segment.masks import Masks
from anymask.segment.pixels import read_image
from anymask.segment.polygons import Polygon

FOREGROUND_COLOR = (46, 204, 90)
BACKGROUND_COLOR = (230, 50, 50)
BOX_COLOR = (60, 220, 90)
WHITE = (255, 255, 255)

_SHIFT = 4
"""OpenCV takes fractions of a pixel as integers shifted by this many bits."""


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
    """Return the width in pixels of outlines on an image of (height, width): about 2 at 1,000 pixels."""
    return max(1, round(max(size) / 600))


def _paint_masks(
    canvas: NDArray[np.uint8], masks: Masks, alpha: float, contours: bool, colors: ArrayLike | None
) -> None:
    if masks.size != canvas.shape[:2]:
        height, width = masks.size
        raise MaskError(
            f"the masks are of a {width} x {height} image, this one has {canvas.shape[1]} x {canvas.shape[0]}"
        )
    palette = assign_colors(masks) if colors is None else np.asarray(colors).reshape(-1, 3)
    if len(palette) != len(masks):
        raise MaskError(f"colors must be one RGB for each of the {len(masks)} masks, got {len(palette)}")
    weight = np.float32(alpha)
    # Blending with the picture itself, not with what lies below, keeps the colours of stacked masks apart.
    picture = canvas.copy()
    for index in np.argsort(-masks.areas, kind="stable").tolist():
        if masks.areas[index] == 0:
            continue
        x0, y0, x1, y1 = masks.boxes[index].astype(int).tolist()
        inside = masks.crop(index)
        window = canvas[y0:y1, x0:x1]
        color = palette[index].astype(np.float32)
        below = picture[y0:y1, x0:x1][inside]
        window[inside] = np.rint(below * (1 - weight) + color * weight).astype(np.uint8)
        if contours:
            _paint_outline(canvas, masks.polygons(index), _outline_color(color))


def _outline_color(color: NDArray[np.float32]) -> tuple[int, ...]:
    """A lighter tint of the fill: it stands out from the fill and from the picture on either side."""
    return tuple(int(value) for value in np.rint(color + (255 - color) * np.float32(0.45)))


def _paint_outline(canvas: NDArray[np.uint8], polygons: list[Polygon], color: tuple[int, ...]) -> None:
    rings = [ring for polygon in polygons for ring in [polygon.exterior, *polygon.holes]]
    width = line_width((canvas.shape[0], canvas.shape[1]))
    # OpenCV's coordinates are pixel centres, the polygons' pixel corners. Averaging the corners of each
    # pixel step turns the staircase into the smooth line that the eye expects.
    smooth = [_fixed_point(_soften(ring) - 0.5) for ring in rings]
    cv2.polylines(cast(Any, canvas), smooth, True, color, width, cv2.LINE_AA, _SHIFT)


def _soften(ring: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace each corner by the middle of the edge that follows it, keeping the ends of long edges."""
    following = np.roll(ring, -1, axis=0)
    along = following - ring
    length = np.abs(along).sum(axis=1, keepdims=True)
    reach = np.minimum(length / 2, 1.0) / np.maximum(length, 1.0)
    return np.stack([ring + along * reach, following - along * reach], axis=1).reshape(-1, 2)


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
