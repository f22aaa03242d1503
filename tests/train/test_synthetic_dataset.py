"""Synthetic scenes as a data set."""

import numpy as np
from pycocotools import mask as coco_mask

from anymask.train.synthetic import synthetic_scene
from anymask.train.synthetic_dataset import SyntheticDataset


def test_synthetic_scenes_are_the_painter_s() -> None:
    dataset = SyntheticDataset(count=5, size=64, seed=20)
    assert len(dataset) == 5
    # Out of order, because the last scene is remembered.
    for index in (2, 2, 0, 4):
        scene = synthetic_scene(20 + index, 64, 64)
        np.testing.assert_array_equal(dataset.image(index), scene.image)
        found = [coco_mask.decode(rle).astype(bool) for rle in dataset.masks(index)]
        np.testing.assert_array_equal(found, scene.masks())
        assert dataset.categories(index) == [""] * len(found)
    assert dataset.name(3) == "synthetic-23"
