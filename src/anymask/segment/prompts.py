"""Prompts as users give them, and as the prompt encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymask.segment.columns import to_numpy
from anymask.segment.errors import ImageError, PromptError
from anymask.segment.frame import Frame
from anymask.segment.masks import Masks
from anymask.segment.pixels import read_image

BACKGROUND, FOREGROUND = 0, 1
_FILLER, _TOP_LEFT, _BOTTOM_RIGHT = -1, 2, 3


@dataclass(frozen=True)
class Prompt:
    """What marks one object: points, a box, a mask, or any mix.

    Coordinates are pixels of the original image, (x, y), origin at the top left corner.

    Attributes:
        points: ``[K, 2]`` (x, y); one point may be given bare.
        labels: ``[K]``: 1 the point is on the object, 0 it is not; all 1 where left out.
        box: (x0, y0, x1, y1).
        mask: one mask of the image: a :class:`Masks` of length 1 (its logits are used where it has them), an
            array ``[H, W]`` of booleans or of 0 and non-zero, low-resolution logits (a floating array as in
            ``masks.logits``), or an image file in which the mask is brighter than mid-grey.
        multimask: three masks or one; None decides by ambiguity (one lone point gives three).
    """

    points: ArrayLike | None = None
    labels: ArrayLike | None = None
    box: ArrayLike | None = None
    mask: Masks | ArrayLike | str | Path | None = None
    multimask: bool | None = None


@dataclass(frozen=True)
class EncodablePrompt:
    """A checked prompt in the model's frame.

    Attributes:
        points: float32 ``[T, 2]`` in model-input pixels: points, then a filler or the box's corners.
        labels: int64 ``[T]``: 1, 0, -1 for the filler, 2 and 3 for the corners.
        logits: float32 ``[g, g]`` or None.
        multimask: three masks or one.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32] | None
    multimask: bool


def _numbers(values: Any, what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(to_numpy(values), dtype=np.float64)
    except (TypeError, ValueError):
        raise PromptError(f"{what} must be numbers, not {values!r}") from None
    if not np.isfinite(array).all():
        raise PromptError(f"{what} must be finite numbers, not {array.tolist()}")
    return array


def _check_points(points: Any, labels: Any, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    coordinates = _numbers(points, "points")
    if coordinates.ndim == 1 and coordinates.size == 2:
        coordinates = coordinates[None]
    if coordinates.ndim != 2 or coordinates.shape[1] != 2 or not len(coordinates):
        raise PromptError(
            "points must be a list of (x, y) in pixels, such as [(500, 375)]; "
            f"got an array of shape {coordinates.shape}"
        )
    outside = (coordinates < 0).any(1) | (coordinates[:, 0] > frame.width) | (coordinates[:, 1] > frame.height)
    if outside.any():
        x, y = coordinates[outside][0]
        raise PromptError(
            f"the point ({x:g}, {y:g}) is outside the image, which is {frame.width} wide and {frame.height} "
            f"high; x goes from 0 to {frame.width}, y from 0 to {frame.height}"
        )
    if labels is None:
        return coordinates, np.ones(len(coordinates), dtype=np.int64)
    given = np.atleast_1d(_numbers(labels, "labels"))
    if given.shape != (len(coordinates),):
        raise PromptError(f"{len(coordinates)} points need as many labels; {given.size} were given")
    if not np.isin(given, (BACKGROUND, FOREGROUND)).all():
        raise PromptError(f"labels are 1 (on the object) or 0 (not on it), not {given.tolist()}")
    return coordinates, given.astype(np.int64)


def _check_box(box: Any, frame: Frame) -> NDArray[np.float64]:
    corners = _numbers(box, "box")
    if corners.size != 4:
        raise PromptError(f"a box is (x0, y0, x1, y1) in pixels; got {corners.size} numbers")
    x0, y0, x1, y1 = corners.reshape(4)
    if x1 <= x0 or y1 <= y0:
        raise PromptError(
            f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) is empty: x1 must be larger than x0 and y1 than y0 "
            "(corners, not width and height)"
        )
    clipped = np.array([max(x0, 0), max(y0, 0), min(x1, frame.width), min(y1, frame.height)])
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise PromptError(
            f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) lies outside the image, which is {frame.width} wide "
            f"and {frame.height} high"
        )
    return clipped


def _mask_logits(mask: Any, frame: Frame, grid: int) -> NDArray[np.float32]:
    if isinstance(mask, Masks):
        if len(mask) != 1:
            raise PromptError(f"a mask prompt is one mask; got {len(mask)}: choose one, such as masks[0]")
        if mask.size != (frame.height, frame.width):
            raise PromptError(
                f"the mask is for an image {mask.size[1]} wide and {mask.size[0]} high; this one is "
                f"{frame.width} wide and {frame.height} high"
            )
        if mask.logits is not None and mask.logits.shape[-1] == grid:
            return np.asarray(mask.logits[0], dtype=np.float32)
        return frame.mask_to_logits(mask.mask(0), grid)
    if isinstance(mask, str | Path):
        try:
            array = read_image(mask).max(axis=2) > 127
        except ImageError as error:
            raise PromptError(f"cannot read the mask prompt: {error}") from error
    else:
        array = to_numpy(mask)
        if array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        if array.shape == (grid, grid) and np.issubdtype(array.dtype, np.floating):
            if not np.isfinite(array).all():
                raise PromptError("the logits of a mask prompt must be finite numbers")
            logits: NDArray[np.float32] = array.astype(np.float32)
            return logits
    if array.shape != (frame.height, frame.width):
        raise PromptError(
            f"a mask prompt must have the image's size [{frame.height}, {frame.width}] or be logits "
            f"[{grid}, {grid}]; got {list(array.shape)}"
        )
    return frame.mask_to_logits(array != 0, grid)


def to_encodable(prompt: Prompt, frame: Frame, grid: int) -> EncodablePrompt:
    """Check a prompt against the image and bring it into the model's frame.

    Args:
        prompt: the user's prompt.
        frame: the image's frame.
        grid: side of the model's mask logits.

    Raises:
        PromptError: the prompt is empty, malformed or off the image.
    """
    if prompt.points is None and prompt.box is None and prompt.mask is None:
        raise PromptError("an empty prompt: give points, a box or a mask (or segment_everything for no prompt)")
    if prompt.points is None and prompt.labels is not None:
        raise PromptError("labels were given without points")
    parts: list[NDArray[np.float32]] = []
    labels: list[int] = []
    if prompt.points is not None:
        coordinates, given = _check_points(prompt.points, prompt.labels, frame)
        parts.append(frame.to_model(coordinates))
        labels.extend(given.tolist())
    if prompt.box is not None:
        corners = frame.boxes_to_model(_check_box(prompt.box, frame)).reshape(2, 2)
        parts.append(corners)
        labels += [_TOP_LEFT, _BOTTOM_RIGHT]
    elif parts:
        parts.append(np.zeros((1, 2), dtype=np.float32))
        labels.append(_FILLER)
    logits = None if prompt.mask is None else _mask_logits(prompt.mask, frame, grid)
    lone_point = prompt.points is not None and len(labels) == 2 and prompt.box is None and prompt.mask is None
    return EncodablePrompt(
        points=np.concatenate(parts) if parts else np.zeros((0, 2), dtype=np.float32),
        labels=np.array(labels, dtype=np.int64),
        logits=logits,
        multimask=lone_point if prompt.multimask is None else bool(prompt.multimask),
    )


def group_by_kind(prompts: Sequence[EncodablePrompt]) -> list[list[int]]:
    """Group prompts that have equally many tokens, those with a mask apart.

    Filling a prompt up to another's length would change its masks, and so would answering it in the precision of
    prompts with a mask.
    """
    groups: dict[tuple[int, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault((len(prompt.labels), prompt.logits is None), []).append(index)
    return list(groups.values())
