"""Where everything mode asks: grids of points, and the overlapping crops of an image that it looks at closely."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EDGE_DISTANCE = 20.0
"""A mask whose box comes this near to a crop's border, in pixels, is taken to be cut off by it."""


def point_grid(points_per_side: int) -> NDArray[np.float64]:
    """Return points (x, y) in the middle of n × n equal cells of the unit square, float64 [n², 2], row by row."""
    half = 1 / (2 * points_per_side)
    along = np.linspace(half, 1 - half, points_per_side)
    x, y = np.meshgrid(along, along)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def layer_point_grids(points_per_side: int, layers: int, downscale_factor: int) -> list[NDArray[np.float64]]:
    """Return the grid of the whole image, then of each layer of crops, each layer thinner by the factor.

    A layer whose grid would have no point left has an empty one.
    """
    sides = [int(points_per_side / downscale_factor**layer) for layer in range(layers + 1)]
    return [point_grid(side) if side else np.zeros((0, 2)) for side in sides]


def crop_boxes(size: tuple[int, int], layers: int, overlap_ratio: float) -> tuple[list[list[int]], list[int]]:
    """Lay out the image and its crops; layer i has 2^i crops a side (paper, appendix B).

    Args:
        size: (height, width) of the image in pixels.
        layers: layers of crops under the whole image.
        overlap_ratio: overlap of neighbours in the first layer, as a fraction of the image's short side; it halves
            from layer to layer.

    Returns:
        Boxes [x0, y0, x1, y1] in pixels, the whole image first, then columns from left to right in each layer, and the
        layer of each box. On images of a few pixels, crops may be empty or equal.
    """
    height, width = size
    boxes, box_layers = [[0, 0, width, height]], [0]
    for layer in range(1, layers + 1):
        a_side = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / a_side))
        crop_width, crop_height = (math.ceil((overlap * (a_side - 1) + side) / a_side) for side in (width, height))
        for column in range(a_side):
            for row in range(a_side):
                x0, y0 = (crop_width - overlap) * column, (crop_height - overlap) * row
                boxes.append([x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height)])
                box_layers.append(layer)
    return boxes, box_layers


def cut_off_by_crop(last_pixels: Sequence[float], crop: Sequence[int], size: tuple[int, int]) -> bool:
    """Say whether a mask ends near an edge of its crop which is not near the same edge of the image.

    Args:
        last_pixels: (x0, y0, x1, y1) of the mask in the image, where x1 and y1 are its last column and row.
        crop: (x0, y0, x1, y1) of the crop.
        size: (height, width) of the image.
    """
    image = (0, 0, size[1], size[0])
    return any(
        abs(mask_edge - crop_edge) <= EDGE_DISTANCE < abs(mask_edge - image_edge)
        for mask_edge, crop_edge, image_edge in zip(last_pixels, crop, image, strict=True)
    )
