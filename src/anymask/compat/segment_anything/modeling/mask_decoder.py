"""The mask decoder."""

from anymask.models.mask_decoder import MLP, MaskDecoder

__all__ = ["MLP", "MaskDecoder"]
