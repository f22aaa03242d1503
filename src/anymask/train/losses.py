"""Mask and quality losses (paper, appendix A), over coverage targets between 0 and 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Focal loss (Lin et al. 2017) averaged over the last two dimensions of ``[..., H, W]``."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    miss = probability * (1 - targets) + (1 - probability) * targets
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * miss.pow(gamma) * entropy).flatten(-2).mean(-1)


def balanced_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in which the object and the rest weigh the same, over the last two dimensions."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(-2)
    inside = targets.flatten(-2)
    outside = 1 - inside
    object_part = (entropy * inside).sum(-1) / inside.sum(-1).clamp(min=1.0)
    rest_part = (entropy * outside).sum(-1) / outside.sum(-1).clamp(min=1.0)
    return 0.5 * (object_part + rest_part)


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One minus the soft Dice coefficient over the last two dimensions of ``[..., H, W]``."""
    probability = logits.sigmoid().flatten(-2)
    inside = targets.flatten(-2)
    return 1 - (2 * (probability * inside).sum(-1) + 1) / (probability.sum(-1) + inside.sum(-1) + 1)


@torch.no_grad()
def mask_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """IoU of ``logits > 0`` with ``targets >= 0.5`` over the last two dimensions; 1 where both are empty."""
    predicted, actual = logits > 0, targets >= 0.5
    intersection = (predicted & actual).flatten(-2).sum(-1).float()
    union = (predicted | actual).flatten(-2).sum(-1).float()
    return torch.where(union > 0, intersection / union.clamp(min=1), torch.ones_like(union))


def mask_loss(logits: Tensor, targets: Tensor, pixel_loss: str, pixel_weight: float, dice_weight: float) -> Tensor:
    """Weigh the pixel loss ("focal" or "balanced") with dice, over the last two of ``[..., H, W]``."""
    if pixel_loss == "focal":
        pixels = focal_loss(logits, targets)
    elif pixel_loss == "balanced":
        pixels = balanced_cross_entropy(logits, targets)
    else:
        raise ValueError(f"unknown pixel loss {pixel_loss!r}: use focal or balanced")
    return pixel_weight * pixels + dice_weight * dice_loss(logits, targets)
