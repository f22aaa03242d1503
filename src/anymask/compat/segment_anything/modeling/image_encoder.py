"""The image encoder."""

from anymask.models.image_encoder import (
    Attention,
    Block,
    ImageEncoderViT,
    PatchEmbed,
    window_partition,
    window_unpartition,
)

__all__ = ["Attention", "Block", "ImageEncoderViT", "PatchEmbed", "window_partition", "window_unpartition"]
