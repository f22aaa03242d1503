"""Images and coordinates to the model's input and back, as the published package names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from anymask.compat.segment_anything.errors import ImageArgumentError
from anymask.segment.frame import Frame


class ResizeLongestSide:
    """Scales images so that their long side has a given length, and coordinates with them.

    Sizes are (height, width), coordinates (x, y) in pixels with the origin at the top left corner.

    Args:
        target_length: the long side afterwards, in pixels.
    """

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale uint8 ``[H, W]`` or ``[H, W, C]`` with Pillow's antialiased bilinear filter.

        Raises:
            ImageArgumentError: another kind of array.
        """
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise ImageArgumentError(
                f"the image must be a uint8 array [H, W, 3], not {image.dtype} of shape {image.shape}"
            )
        height, width = self.get_preprocess_shape(image.shape[0], image.shape[1], self.target_length)
        flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
        scaled = Image.fromarray(np.ascontiguousarray(flat)).resize((width, height), Image.Resampling.BILINEAR)
        return np.array(scaled, dtype=np.uint8)

    def apply_coords(self, coords: NDArray[Any], original_size: tuple[int, ...]) -> NDArray[np.float64]:
        """Scale coordinates ``[..., 2]`` of an image of ``original_size`` into a new float64 array."""
        ratios = np.array(self._ratios(original_size))
        scaled: NDArray[np.float64] = np.asarray(coords, dtype=np.float64) * ratios
        return scaled

    def apply_boxes(self, boxes: NDArray[Any], original_size: tuple[int, ...]) -> NDArray[np.float64]:
        """Scale boxes ``[B, 4]`` (or one, ``[4]``) of an image of ``original_size``, giving ``[B, 4]``."""
        return self.apply_coords(np.asarray(boxes).reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """Scale ``[B, C, H, W]`` with torch's antialiased bilinear filter, near but not equal to Pillow's."""
        size = self.get_preprocess_shape(image.shape[2], image.shape[3], self.target_length)
        return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)

    def apply_coords_torch(self, coords: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale coordinates ``[..., 2]`` of an image of ``original_size`` into a new float32 tensor."""
        ratios = torch.tensor(self._ratios(original_size), dtype=torch.float32, device=coords.device)
        return coords.to(torch.float32) * ratios

    def apply_boxes_torch(self, boxes: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Scale boxes ``[B, 4]`` of an image of ``original_size``."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> tuple[int, int]:
        """The (height, width) after scaling, each rounded to the nearest pixel and at least 1."""
        frame = Frame(oldh, oldw, long_side_length)
        return frame.input_height, frame.input_width

    def _ratios(self, original_size: tuple[int, ...]) -> tuple[float, float]:
        old_height, old_width = original_size
        height, width = self.get_preprocess_shape(old_height, old_width, self.target_length)
        return width / old_width, height / old_height
