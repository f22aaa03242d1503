"""The sizes of a SAM with a plain vision transformer: from numbers to a network and back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeGuard

from torch import nn

from anymask.errors import AnymaskError
from anymask.models.image_encoder import Block, ImageEncoderViT
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.sam import Sam
from anymask.models.transformer import TwoWayAttentionBlock, TwoWayTransformer


class ArchitectureError(AnymaskError, ValueError):
    """A network is not one that :class:`VitArchitecture` can describe."""


@dataclass(frozen=True)
class DecoderArchitecture:
    """Sizes of prompt encoder and mask decoder; the defaults are those of every published model.

    Attributes:
        embed_dim: channels of the image embedding and of every token.
        mask_channels: hidden channels of the mask prompt's branch.
        depth: blocks of the two-way transformer.
        num_heads: its attention heads.
        mlp_dim: hidden width of its MLPs.
        attention_downsample_rate: width of the tokens over the inner width of its cross-attentions.
        num_multimask_outputs: masks for an ambiguous prompt.
        iou_head_hidden_dim: hidden width of the quality head.
    """

    embed_dim: int = 256
    mask_channels: int = 16
    depth: int = 2
    num_heads: int = 8
    mlp_dim: int = 2048
    attention_downsample_rate: int = 2
    num_multimask_outputs: int = 3
    iou_head_hidden_dim: int = 256

    def assemble(self, image_encoder: nn.Module, image_size: int, stride: int = 16) -> Sam:
        """Put a prompt encoder and a mask decoder with random weights beside an image encoder.

        Args:
            image_encoder: see :class:`anymask.models.sam.Sam`.
            image_size: side of its input in pixels.
            stride: pixels of the input for each cell of its output, along a side.
        """
        grid = image_size // stride
        return Sam(
            image_encoder=image_encoder,
            prompt_encoder=PromptEncoder(
                embed_dim=self.embed_dim,
                image_embedding_size=(grid, grid),
                input_image_size=(image_size, image_size),
                mask_in_chans=self.mask_channels,
            ),
            mask_decoder=MaskDecoder(
                transformer_dim=self.embed_dim,
                transformer=TwoWayTransformer(
                    depth=self.depth,
                    embedding_dim=self.embed_dim,
                    num_heads=self.num_heads,
                    mlp_dim=self.mlp_dim,
                    attention_downsample_rate=self.attention_downsample_rate,
                ),
                num_multimask_outputs=self.num_multimask_outputs,
                iou_head_hidden_dim=self.iou_head_hidden_dim,
            ),
        )

    @classmethod
    def of(cls, network: Sam) -> DecoderArchitecture:
        """Measure the prompt encoder and mask decoder of a network.

        Raises:
            ArchitectureError: one of the layers to be measured is not SAM's.
        """
        decoder = network.mask_decoder
        block, iou_head = decoder.transformer.layers[0], decoder.iou_prediction_head.layers[0]
        mask_branch = network.prompt_encoder.mask_downscaling[3]
        if not (
            isinstance(block, TwoWayAttentionBlock)
            and isinstance(iou_head, nn.Linear)
            and isinstance(mask_branch, nn.Conv2d)
        ):
            raise ArchitectureError("its prompt encoder or mask decoder has other layers than SAM's")
        return cls(
            embed_dim=decoder.transformer_dim,
            mask_channels=mask_branch.out_channels,
            depth=decoder.transformer.depth,
            num_heads=decoder.transformer.num_heads,
            mlp_dim=decoder.transformer.mlp_dim,
            attention_downsample_rate=decoder.transformer_dim // block.cross_attn_token_to_image.internal_dim,
            num_multimask_outputs=decoder.num_multimask_outputs,
            iou_head_hidden_dim=iou_head.out_features,
        )


def _is_published(block: nn.Module) -> TypeGuard[Block]:
    return (
        isinstance(block, Block)
        and all(isinstance(norm, nn.LayerNorm) and norm.eps == 1e-6 for norm in (block.norm1, block.norm2))
        and isinstance(block.mlp.act, nn.GELU)
        and all(isinstance(layer, nn.Linear) for layer in (block.attn.qkv, block.mlp.lin1))
    )


@dataclass(frozen=True)
class VitArchitecture:
    """Sizes of a SAM whose image encoder is a plain vision transformer; the defaults are vit_b's.

    Attributes:
        image_size: side of the model input in pixels.
        patch_size: side of a patch in pixels.
        embed_dim: width of the image encoder.
        depth: its blocks.
        num_heads: its attention heads.
        mlp_dim: hidden width of its MLPs.
        window_size: side of its attention windows in patches.
        global_blocks: its blocks with global attention.
        qkv_bias: whether its query, key and value projections have biases.
        absolute_positions: whether it learns absolute positions.
        relative_positions: whether it learns relative positions.
        decoder: sizes of the other parts.
    """

    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    window_size: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    qkv_bias: bool = True
    absolute_positions: bool = True
    relative_positions: bool = True
    decoder: DecoderArchitecture = field(default_factory=DecoderArchitecture)

    def at(self, image_size: int) -> VitArchitecture:
        """The same for another side of the input in pixels."""
        return replace(self, image_size=image_size)

    def build_encoder(self) -> ImageEncoderViT:
        """Build the image encoder with random weights."""
        return ImageEncoderViT(
            img_size=self.image_size,
            patch_size=self.patch_size,
            embed_dim=self.embed_dim,
            depth=self.depth,
            num_heads=self.num_heads,
            # Half a channel more, so that the product is not rounded down.
            mlp_ratio=(self.mlp_dim + 0.5) / self.embed_dim,
            out_chans=self.decoder.embed_dim,
            qkv_bias=self.qkv_bias,
            use_abs_pos=self.absolute_positions,
            use_rel_pos=self.relative_positions,
            window_size=self.window_size,
            global_attn_indexes=self.global_blocks,
        )

    def build(self) -> Sam:
        """Build the network with random weights."""
        return self.decoder.assemble(self.build_encoder(), self.image_size, self.patch_size)

    @classmethod
    def of(cls, network: Sam) -> VitArchitecture:
        """Measure a network.

        Raises:
            ArchitectureError: its image encoder is not a plain vision transformer, or a layer is not SAM's.
        """
        encoder = network.image_encoder
        if type(encoder) is not ImageEncoderViT:
            raise ArchitectureError(f"its image encoder is a {type(encoder).__name__}, not a plain vision transformer")
        blocks = [block for block in encoder.blocks if _is_published(block)]
        if len(blocks) < len(encoder.blocks):
            raise ArchitectureError("its image encoder has other layers, norms or activations than SAM's")
        patches = encoder.patch_embed.proj
        return cls(
            image_size=encoder.img_size,
            patch_size=patches.kernel_size[0],
            embed_dim=patches.out_channels,
            depth=len(blocks),
            num_heads=blocks[0].attn.num_heads,
            mlp_dim=blocks[0].mlp.lin1.out_features,
            window_size=max(block.window_size for block in blocks) or cls.window_size,
            global_blocks=tuple(index for index, block in enumerate(blocks) if block.window_size == 0),
            qkv_bias=blocks[0].attn.qkv.bias is not None,
            absolute_positions=encoder.pos_embed is not None,
            relative_positions=blocks[0].attn.use_rel_pos,
            decoder=DecoderArchitecture.of(network),
        )
