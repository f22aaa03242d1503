"""Masks on one layer, as in formats where a pixel belongs to one mask at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import Losses
from anymask.segment.masks import Masks


def flatten(masks: Masks, most: int, losses: Losses) -> tuple[Masks, NDArray[np.int32]]:
    """Paint masks on one layer, smaller ones on top.

    Args:
        masks: the masks.
        most: how many the layer can number; more are left out, the smallest first.
        losses: counts what that costs.

    Returns:
        The masks that stay, in their order, and int32 ``[H, W]``: 0 is background, k + 1 the k-th of these.
    """
    if len(masks) > most:
        losses.add(f"of more than {most:,} masks the largest are kept", len(masks) - most)
        kept = np.sort(np.argsort(-masks.areas, kind="stable")[:most])
        masks = masks[kept]
    layer = masks.label_map()
    visible = np.bincount(layer.reshape(-1), minlength=len(masks) + 1)[1:]
    losses.add("masks without a pixel are left out", int((masks.areas == 0).sum()))
    losses.add("masks that smaller ones cover wholly are left out", int(((visible == 0) & (masks.areas > 0)).sum()))
    losses.add(
        "masks give the pixels they share to the smaller one", int(((visible > 0) & (visible < masks.areas)).sum())
    )
    return masks, layer
