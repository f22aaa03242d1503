"""Which mask lies in which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.errors import MaskError
from anymask.segment.rle import RLE


def find_parents(rles: Sequence[RLE], areas: NDArray[np.int64], inside: float) -> NDArray[np.int64]:
    """Return for each of N masks the position of the smallest larger mask in which it lies, or -1; int64 [N].

    Args:
        rles: the masks, of one image.
        areas: [N], their pixels.
        inside: the fraction of a mask that must lie in its parent, above 0.5 and at most 1.

    Among masks of equal area the earlier counts as larger, so that parents never form a ring. Raises MaskError for
    another fraction.
    """
    if not 0.5 < inside <= 1:
        raise MaskError(f"inside is the fraction of a mask in its parent, above 0.5 and up to 1; got {inside}")
    parents = np.full(len(rles), -1, dtype=np.int64)
    if not rles:
        return parents
    fraction = rle.containment_matrix(rles, rles)
    from_large = np.argsort(-areas, kind="stable")
    for rank, index in enumerate(from_large.tolist()):
        larger = from_large[:rank]
        around = larger[fraction[index, larger] >= inside]
        if len(around):
            parents[index] = around[-1]
    return parents
