"""Synthetic scenes with exact masks: unlimited training data, and test data.

A scene is painted back to front: a background, then things with textures, shading and shadows, then the
defects of a camera. Labels are written wherever the opacity of a part is at least one half.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.train.synthetic_painting import Painter, paint_background, paint_thing
from anymask.train.synthetic_patterns import Float, Rng, log_uniform


@dataclass(frozen=True)
class Scene:
    """An image and the exact visible parts in it.

    Attributes:
        image: H x W x 3, RGB, 0 to 255.
        labels: H x W, the visible part at each pixel: 0 is background, k >= 1 is part k.
        parents: (number of parts + 1), the object number (>= 1) that part k belongs to; entry 0 is 0.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    parents: NDArray[np.int32]

    def masks(self, min_area: int = 16) -> list[NDArray[np.bool_]]:
        """Visible masks, H x W each: every whole object, and every part of an object which has several.

        Args:
            min_area: the fewest visible pixels of a mask; smaller ones are left out. At least 1 is used.

        Returns:
            The masks without duplicates, the largest first.
        """
        part_areas = np.bincount(self.labels.ravel(), minlength=len(self.parents))
        part_areas[0] = 0
        object_areas = np.bincount(self.parents, weights=part_areas).astype(np.int64)
        visible_parts = np.bincount(self.parents, weights=part_areas > 0)
        found: list[tuple[int, NDArray[np.bool_]]] = []
        owners = self.parents[self.labels]
        for number in np.flatnonzero(object_areas >= max(min_area, 1)):
            found.append((int(object_areas[number]), owners == number))
        for part in np.flatnonzero(part_areas >= max(min_area, 1)):
            if visible_parts[self.parents[part]] > 1:
                found.append((int(part_areas[part]), self.labels == part))
        found.sort(key=lambda pair: -pair[0])
        return [mask for _, mask in found]


def synthetic_scene(seed: int, height: int = 256, width: int = 256, max_objects: int = 12) -> Scene:
    """Paint one scene; the same arguments give the same scene.

    Args:
        seed: any integer >= 0.
        height: of the image in pixels, at least 8.
        width: of the image in pixels, at least 8.
        max_objects: the most things placed, at least 1. A group (a grid, a cluster of cells) counts as one
            thing here, though each of its members may be an object of its own.

    Raises:
        ValueError: a size below 8, or ``max_objects`` below 1.
    """
    if height < 8 or width < 8:
        raise ValueError(f"a scene needs a height and width of at least 8 pixels, not {height} x {width}")
    if max_objects < 1:
        raise ValueError(f"max_objects must be at least 1, not {max_objects}")
    rng = np.random.default_rng(seed)
    painter = Painter(
        rng=rng,
        canvas=np.zeros((height, width, 3), np.float32),
        labels=np.zeros((height, width), np.int32),
        saturation=float(rng.choice([0.0, 0.25, 0.5, 0.9], p=[0.12, 0.35, 0.35, 0.18])),
        hue=float(rng.random()),
        light=float(rng.uniform(0, 2 * np.pi)),
        shadow=float(rng.choice([0.0, 0.25, 0.5], p=[0.4, 0.35, 0.25])),
        softness=float(rng.choice([0.0, 0.6, 1.0], p=[0.6, 0.3, 0.1])),
    )
    paint_background(painter)
    count = 1 + int(rng.integers(max_objects) * rng.uniform(0.6, 1.0))
    smallest = rng.choice([0.03, 0.1, 0.25], p=[0.6, 0.25, 0.15])
    sizes = np.exp(rng.uniform(np.log(smallest), np.log(0.8), count))
    sizes[0] = max(sizes[0], 0.25)
    if rng.random() < 0.7:
        sizes = np.sort(sizes)[::-1]
    for size in sizes:
        paint_thing(painter, float(size) * min(height, width))
    image = photograph(rng, painter.canvas)
    return Scene(image, painter.labels, np.asarray(painter.parents, np.int32))


def photograph(rng: Rng, canvas: Float) -> NDArray[np.uint8]:
    """The canvas (0 to 255, used as scratch) as a camera would give it, with its defects."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.35:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 1.4))
    elif rng.random() < 0.2:
        canvas = canvas + np.float32(rng.uniform(0.3, 1.0)) * (canvas - cv2.GaussianBlur(canvas, (0, 0), 1.2))
    if rng.random() < 0.3:
        canvas *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
    if rng.random() < 0.2:
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        canvas *= (1 - np.float32(rng.uniform(0.1, 0.3)) * (x * x + y * y))[..., None]
    if rng.random() < 0.5:
        grain = rng.standard_normal((height, width, int(rng.choice([1, 3]))), dtype=np.float32)
        canvas += grain * np.float32(log_uniform(rng, 1, 14))
    image: NDArray[np.uint8] = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        _, stream = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        decoded = cv2.imdecode(stream, cv2.IMREAD_COLOR)
        image = np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])
    return image
