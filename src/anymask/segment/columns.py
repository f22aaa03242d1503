"""The columns of a Masks: what each row holds, and how given values become a checked array."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from anymask.segment.errors import MaskError

COLUMN_SHAPES: dict[str, tuple[type[np.generic], tuple[int | str, ...]]] = {
    "boxes": (np.float32, (4,)),
    "areas": (np.int64, ()),
    "scores": (np.float32, ()),
    "stability": (np.float32, ()),
    "points": (np.float32, (2,)),
    "prompt": (np.int64, ()),
    "logits": (np.float32, ("grid", "grid")),
    "crops": (np.float32, (4,)),
}
"""The array columns: their type and the shape of one row."""


def to_numpy(values: Any) -> NDArray[Any]:
    """Return an array for an array-like or a tensor on any device; bfloat16 becomes float32."""
    if isinstance(values, torch.Tensor):
        detached = values.detach().cpu()
        return (detached.float() if detached.dtype == torch.bfloat16 else detached).numpy()
    return np.asarray(values)


def checked_column(name: str, values: ArrayLike, count: int) -> NDArray[Any]:
    """Return the values of the column `name` as an array, or raise MaskError if it is not one row a mask."""
    dtype, row = COLUMN_SHAPES[name]
    array = np.asarray(to_numpy(values), dtype=dtype)
    if array.shape == (0,) and count == 0 and row:
        array = array.reshape(0, *(0 if side == "grid" else cast(int, side) for side in row))
    fits = array.ndim == 1 + len(row) and array.shape[0] == count
    if fits and row == ("grid", "grid"):
        fits = array.shape[1] == array.shape[2]
    elif fits:
        fits = array.shape[1:] == row
    if not fits:
        shape = ", ".join(str(side) for side in (count, *row))
        raise MaskError(f"{name} must have the shape [{shape}] for {count} masks, got {list(array.shape)}")
    return array


def same_column(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    """Return whether two columns are both missing or hold equal values."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second, equal_nan=True)
