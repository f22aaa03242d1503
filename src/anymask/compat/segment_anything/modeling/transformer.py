"""The two-way transformer."""

from anymask.models.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer

__all__ = ["Attention", "TwoWayAttentionBlock", "TwoWayTransformer"]
