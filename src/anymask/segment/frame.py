"""The coordinate frame: where pixels of the original image lie in the model's padded square input."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch.nn import functional

MASK_PROMPT_LOGIT = 10.0
"""Logit of a fully covered cell when a binary mask becomes a prompt; an empty cell gets its negative."""


@dataclass(frozen=True)
class Frame:
    """The map between an image of height x width pixels and a model input of side x side pixels.

    The image is scaled so that its long side fills the input, placed at the top left corner, and padded
    on the right and at the bottom. Coordinates are (x, y) with the origin at the image's top left corner.
    Raises ValueError for a size below 1.
    """

    height: int
    width: int
    side: int = 1024

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise ValueError(
                f"a frame needs a height, width and side of at least 1 pixel, "
                f"got {self.height} x {self.width} and side {self.side}"
            )

    @property
    def scale(self) -> float:
        """Model pixels per original pixel along the long side."""
        return self.side / max(self.height, self.width)

    @property
    def input_height(self) -> int:
        """Height of the scaled image inside the model input, in model pixels."""
        return max(1, int(self.height * self.scale + 0.5))

    @property
    def input_width(self) -> int:
        """Width of the scaled image inside the model input, in model pixels."""
        return max(1, int(self.width * self.scale + 0.5))

    def to_model(self, points: ArrayLike) -> NDArray[np.float32]:
        """Map points [..., 2] of (x, y) from original pixels to model pixels, float32 of the same shape.

        Each axis uses its own ratio of rounded sizes, as SAM does, and the product is taken in float64.
        """
        return (_coordinates(points, 2) * self._ratios()).astype(np.float32)

    def from_model(self, points: ArrayLike) -> NDArray[np.float32]:
        """Map points [..., 2] of (x, y) from model pixels back to original pixels; inverse of to_model."""
        return (_coordinates(points, 2) / self._ratios()).astype(np.float32)

    def boxes_to_model(self, boxes: ArrayLike) -> NDArray[np.float32]:
        """Map boxes [..., 4] of (x0, y0, x1, y1) from original pixels to model pixels."""
        return (_coordinates(boxes, 4) * np.tile(self._ratios(), 2)).astype(np.float32)

    def boxes_from_model(self, boxes: ArrayLike) -> NDArray[np.float32]:
        """Map boxes [..., 4] of (x0, y0, x1, y1) from model pixels to original pixels."""
        return (_coordinates(boxes, 4) / np.tile(self._ratios(), 2)).astype(np.float32)

    def resize_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale an RGB image [height, width, 3] to [input_height, input_width, 3], antialiased bilinear.

        Pillow does the filtering because SAM was trained and published with it: other bilinear filters
        give visibly different pixels when shrinking. Raises ValueError if the image has another size.
        """
        if image.shape != (self.height, self.width, 3):
            raise ValueError(f"this frame is for an image of shape {(self.height, self.width, 3)}, got {image.shape}")
        resized = Image.fromarray(image).resize((self.input_width, self.input_height), Image.Resampling.BILINEAR)
        return np.array(resized, dtype=np.uint8)

    def restore_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Bring low-resolution mask logits [N, C, h, w] to the original size, float32 [N, C, height, width].

        Bilinear to side x side, padding cropped away, bilinear to the original size: SAM's post-processing.
        """
        full = functional.interpolate(logits.float(), (self.side, self.side), mode="bilinear", align_corners=False)
        return functional.interpolate(
            full[..., : self.input_height, : self.input_width],
            (self.height, self.width),
            mode="bilinear",
            align_corners=False,
        )

    def mask_to_logits(self, mask: NDArray[np.bool_], grid: int = 256) -> NDArray[np.float32]:
        """Turn a binary mask [height, width] into logits [grid, grid] in the padded model frame.

        The rule: a cell's logit is MASK_PROMPT_LOGIT * (2 * coverage - 1), where coverage in 0..1 is the
        exact fraction that the mask covers of the cell's area inside the image. Cells that lie in the
        padding altogether are background. Raises ValueError if the mask has another size.
        """
        if mask.shape != (self.height, self.width):
            raise ValueError(f"this frame is for a mask of shape {(self.height, self.width)}, got {mask.shape}")
        edges = np.linspace(0.0, self.side, grid + 1)
        x_ratio, y_ratio = self._ratios()
        columns = np.minimum(edges / x_ratio, self.width)
        rows = np.minimum(edges / y_ratio, self.height)
        covered = _area_sums(_area_sums(np.asarray(mask, dtype=bool), columns).T, rows).T
        inside = np.outer(np.diff(rows), np.diff(columns))
        coverage = np.divide(covered, inside, out=np.zeros_like(covered), where=inside > 0).clip(0.0, 1.0)
        logits: NDArray[np.float32] = (MASK_PROMPT_LOGIT * (2.0 * coverage - 1.0)).astype(np.float32)
        return logits

    def _ratios(self) -> NDArray[np.float64]:
        return np.array([self.input_width / self.width, self.input_height / self.height])


def _coordinates(values: ArrayLike, last: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != last:
        raise ValueError(f"expected coordinates of shape [..., {last}], got {list(array.shape)}")
    return array


def _area_sums(values: NDArray[np.generic], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrate each row of values [R, S] between successive edges in 0..S: [R, len(edges) - 1]."""
    whole = np.minimum(edges.astype(np.int64), values.shape[1] - 1)
    # 32-bit running counts of a boolean row halve the memory of a large mask and cannot overflow.
    sums = np.cumsum(values, axis=1, dtype=np.int32 if values.dtype == np.bool_ else np.float64)
    before = np.where(whole > 0, sums[:, np.maximum(whole - 1, 0)], 0)
    return np.diff(before + (edges - whole) * values[:, whole], axis=1)
