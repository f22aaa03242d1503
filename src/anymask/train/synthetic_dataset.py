"""Synthetic scenes as a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from anymask.formats.datasets import Rle
from anymask.train.synthetic import synthetic_scene


class SyntheticDataset:
    """Scenes drawn on demand; see :func:`anymask.train.synthetic.synthetic_scene`.

    Args:
        count: how many different scenes.
        size: side of the square scenes in pixels.
        seed: the first scene's seed.
    """

    def __init__(self, count: int = 1_000_000, size: int = 256, seed: int = 0) -> None:
        self.count, self.size, self.seed = count, size, seed
        self._last: tuple[int, NDArray[np.uint8], list[Rle]] | None = None

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Give the scene's seed as its name."""
        return f"synthetic-{self.seed + index}"

    def _scene(self, index: int) -> tuple[NDArray[np.uint8], list[Rle]]:
        last = self._last
        if last is None or last[0] != index:
            scene = synthetic_scene(self.seed + index, self.size, self.size)
            masks = scene.masks()
            rles = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks]
            last = (index, scene.image, rles)
            self._last = last
        return last[1], last[2]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Draw scene ``index`` as RGB ``[size, size, 3]``."""
        return self._scene(index)[0]

    def masks(self, index: int) -> list[Rle]:
        """Give the exact masks of scene ``index``: objects, and the parts of objects that have several."""
        return self._scene(index)[1]

    def categories(self, index: int) -> list[str]:
        """Give an empty name for each mask."""
        return [""] * len(self.masks(index))
