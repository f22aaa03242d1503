"""Some images of a stream."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

import numpy as np

Image = TypeVar("Image")


def choose_images(images: Iterable[Image], count: int, seed: int | None = None) -> list[Image]:
    """Return the first images, or with a seed a random sample of all; in their order.

    Args:
        images: read only as far as needed: to the end for a sample, which keeps no more than ``count`` of them.
        count: how many at most.
        seed: the same seed chooses the same places.
    """
    if seed is None:
        return list(islice(images, count))
    random = np.random.default_rng(seed)
    chosen: dict[int, Image] = {}
    for place, image in enumerate(images):
        if place < count:
            chosen[place] = image
        elif random.random() * (place + 1) < count:
            del chosen[list(chosen)[int(random.integers(count))]]
            chosen[place] = image
    return [chosen[place] for place in sorted(chosen)]
