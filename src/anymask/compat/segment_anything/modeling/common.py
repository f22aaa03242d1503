"""Layers that several parts share."""

from anymask.models.layers import LayerNorm2d, MLPBlock

__all__ = ["LayerNorm2d", "MLPBlock"]
