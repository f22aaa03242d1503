"""The mask decoder for prompts without a mask, split into what an image needs once and what each prompt needs.

Such prompts all start from the same image tokens, so the first layer's projections of these are computed once per
image (:class:`PreparedImage`). Afterwards every prompt has image tokens of its own, which are never projected: the
weights are absorbed on the side of the few prompt tokens (see :mod:`anymask.models.transformer`). Prompt tokens are
few and stay in float32; image tokens may be bfloat16. On a processor they are worked on one prompt and one tile of the
image at a time, whose results are then still in a cache when they are read; a GPU takes all together.

Shapes: N prompts, T prompt tokens, S image tokens, s of them in a tile, C channels, H heads of d channels, R = H·T.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.absorbed_attention import AbsorbedAttention, gather_tokens, score_tokens, spread_tokens
from anymask.models.freed_memory import keep_freed_blocks
from anymask.models.layers import LayerNorm2d
from anymask.models.linear import apply_linear, is_plain, linear
from anymask.models.mask_decoder import MLP, MaskDecoder
from anymask.models.transformer import TwoWayAttentionBlock, TwoWayTransformer


class PreparedImage(NamedTuple):
    """What all prompts without a mask share on one image.

    Attributes:
        tokens: embedding with the no-mask embedding, tiles ``[1, s, C]`` of whole rows of cells.
        positions: their position encoding, tiles ``[s, C]``.
        keys: projected for the first layer's attention from prompt tokens, ``[H, d, S]``.
        values: the same, ``[H, S, d]``.
        queries: projected for the first layer's attention to prompt tokens, ``[H, d, S]``.
        columns: columns of the embedding.
    """

    tokens: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    keys: Tensor
    values: Tensor
    queries: Tensor
    columns: int


class Part(NamedTuple):
    """Prompts whose image tokens are worked on together: one on a processor, all of a call on a GPU.

    Attributes:
        prompts: which of the call's prompts.
        tiles: their image tokens ``[n, s, C]``, replaced from layer to layer.
    """

    prompts: slice
    tiles: list[Tensor]


class Attended(NamedTuple):
    """What the transformer makes of prompts; :meth:`PromptDecoder.masks` makes masks of it.

    Attributes:
        predicted_iou: ``[N, masks]``, of the chosen masks.
        kernels: what image tokens are multiplied by to give masks, ``[N, masks, C / 8]``.
        parts: the image tokens.
        columns: columns of the embedding.
    """

    predicted_iou: Tensor
    kernels: Tensor
    parts: list[Part]
    columns: int


Tell = Callable[[Part, int, Tensor], Tensor]
"""Gives a tile of a part, by its number, what prompt tokens tell it."""


TILE = 1 << 21
"""Bytes of a tile on a processor: what is computed of it is read again while it is in a cache."""
WORKING_SET = 1 << 24
"""Bytes of image tokens that all prompts of a call may have on a processor. Few prompts make small products of their
tokens; many take more memory than the C library keeps for the next call."""
PROMPTS_AT_A_TIME = {"cuda": 64, "mps": 32}
PROMPTS_OF_A_PART = {"cpu": 1}
"""How many prompts' image tokens are worked on together; elsewhere those of all prompts of a call."""


class PromptDecoder:
    """Decodes prompts without a mask on prepared images, without gradients.

    It copies some of the decoder's weights when it is made, and reads the others at every call: once they have changed,
    another must be made.

    Args:
        decoder: the mask decoder; see :func:`absorbs_all`.
        dtype: of the image tokens and all that is computed on them.
    """

    def __init__(self, decoder: MaskDecoder, dtype: torch.dtype = torch.float32) -> None:
        self.decoder, self.dtype = decoder, dtype
        layers = decoder.transformer.layers
        self.layers: list[TwoWayAttentionBlock] = [one for one in layers if isinstance(one, TwoWayAttentionBlock)]
        self.to_image = [AbsorbedAttention(layer.cross_attn_token_to_image, dtype) for layer in self.layers]
        self.from_image = [AbsorbedAttention(layer.cross_attn_image_to_token, dtype) for layer in self.layers]
        self.last = AbsorbedAttention(decoder.transformer.final_attn_token_to_image, dtype)
        self.image_norms = [self._affine(layer.norm4) for layer in self.layers]
        first, norm, _, second, _ = decoder.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d)
        assert isinstance(second, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        self.hypernetworks = self._stack(list(decoder.output_hypernetworks_mlps))
        self.upscaling = (*self._as_linear(first), *self._affine(norm), *self._as_linear(second))

    def _affine(self, norm: nn.LayerNorm | LayerNorm2d) -> tuple[Tensor, Tensor, float]:
        return norm.weight.detach().to(self.dtype), norm.bias.detach().to(self.dtype), norm.eps

    @staticmethod
    def _stack(networks: list[nn.Module]) -> list[tuple[Tensor, Tensor]]:
        """Layers of several networks of one shape as one layer each: ``[networks, C, K]`` and ``[networks, 1, K]``."""
        layers = zip(*(network.layers for network in networks if isinstance(network, MLP)), strict=True)
        return [
            (
                torch.stack([layer.weight.detach().T for layer in of_all]),
                torch.stack([layer.bias.detach()[None] for layer in of_all]),
            )
            for of_all in layers
        ]

    def _as_linear(self, layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
        """A 2×2 transposed convolution of stride 2 as a linear layer to four cells: ``[4·C', C]`` and ``[4·C']``."""
        assert layer.bias is not None
        weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        return weight.to(self.dtype), layer.bias.detach().repeat(4).to(self.dtype)

    def suits(self, tokens: int) -> bool:
        """Whether prompts of so many tokens are faster here than by :meth:`MaskDecoder.decode`, which projects."""
        all_tokens = 1 + self.decoder.num_mask_tokens + tokens
        return self.decoder.transformer.final_attn_token_to_image.absorbs(all_tokens)

    def prompts_at_a_time(self, image: PreparedImage, wanted: int | None = None) -> int:
        """How many prompts to decode in one call: on a processor no more than are fast, elsewhere as many as wanted."""
        device = image.keys.device.type
        if device != "cpu":
            return PROMPTS_AT_A_TIME.get(device, 32) if wanted is None else wanted
        fast = max(1, WORKING_SET // sum(tile.nbytes for tile in image.tokens))
        return fast if wanted is None else min(fast, wanted)

    def in_float32(self) -> PromptDecoder:
        """The same decoder with image tokens in float32; itself if it has them."""
        return self if self.dtype == torch.float32 else PromptDecoder(self.decoder)

    @torch.inference_mode()
    def prepare(self, embedding: Tensor, positions: Tensor, no_mask: Tensor) -> PreparedImage:
        """Compute what prompts share.

        Args:
            embedding: ``[1, C, h, w]``.
            positions: ``[1, C, h, w]``.
            no_mask: the embedding of "no mask", ``[1, C]``.
        """
        keep_freed_blocks()
        tokens = embedding[0].flatten(1).T.float() + no_mask
        places = positions[0].flatten(1).T.float()
        to_image, from_image = self.to_image[0], self.from_image[0]

        row_bytes = embedding.shape[-1] * tokens.shape[-1] * self.dtype.itemsize
        rows = max(1, TILE // row_bytes) if tokens.device.type == "cpu" else embedding.shape[-2]

        def tiles(x: Tensor) -> tuple[Tensor, ...]:
            return tuple(part.contiguous() for part in x.to(self.dtype).split(rows * embedding.shape[-1]))

        def per_head(projection: nn.Module, x: Tensor) -> Tensor:
            return apply_linear(projection, x).unflatten(1, (to_image.heads, -1)).to(self.dtype)

        return PreparedImage(
            tokens=tuple(tile[None] for tile in tiles(tokens)),
            positions=tiles(places),
            keys=per_head(to_image.attention.k_proj, tokens + places).permute(1, 2, 0).contiguous(),
            values=per_head(to_image.attention.v_proj, tokens).transpose(0, 1).contiguous(),
            queries=per_head(from_image.attention.q_proj, tokens + places).permute(1, 2, 0).contiguous(),
            columns=embedding.shape[-1],
        )

    @torch.inference_mode()
    def attend(self, image: PreparedImage, sparse: Tensor, chosen: slice = slice(None)) -> Attended:
        """Run the transformer on prompts, and predict how good their masks will be.

        Args:
            image: the prepared image.
            sparse: prompt tokens ``[N, T', C]``.
            chosen: which of the decoder's masks are wanted; the first answers unambiguous prompts.
        """
        decoder = self.decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse.to(own.dtype)], dim=1)
        at_a_time = PROMPTS_OF_A_PART.get(tokens.device.type, len(tokens))
        parts = [
            Part(slice(start, start + at_a_time), list(image.tokens)) for start in range(0, len(tokens), at_a_time)
        ]
        queries, tell = self._first_layer(image, tokens)
        for index in range(1, len(self.layers)):
            queries, tell = self._further_layer(index, image, queries, tokens, parts, tell)
        masks = range(decoder.num_mask_tokens)[chosen]
        # Of the last attention's queries, only those that are read afterwards are asked.
        read = [0, *(1 + mask for mask in masks)]
        queries, tokens = queries[:, read], tokens[:, read]
        told = self._read(self.last, image, queries + tokens, parts, tell)
        queries = decoder.transformer.norm_final_attn(queries + told)
        kernels = queries[:, 1:].transpose(0, 1)
        for depth, (weight, bias) in enumerate(self.hypernetworks):
            kernels = torch.baddbmm(bias[chosen], kernels.relu() if depth else kernels, weight[chosen])
        predicted_iou = decoder.iou_prediction_head(queries[:, 0])[:, chosen]
        return Attended(predicted_iou, kernels.transpose(0, 1), parts, image.columns)

    @staticmethod
    def _read(
        attention: AbsorbedAttention, image: PreparedImage, tokens: Tensor, parts: list[Part], tell: Tell
    ) -> Tensor:
        """Let image tokens be told something, and prompt tokens ``[N, T, C]`` read the result: ``[N, T, C]``."""
        rows = attention.absorb(attention.queries(tokens), attention.attention.k_proj, len(tokens))
        gathered = []
        for part in parts:
            asking, scores = rows[part.prompts], []
            for place, positions in enumerate(image.positions):
                part.tiles[place] = tile = tell(part, place, part.tiles[place])
                scores.append(score_tokens(asking, tile + positions))
            sizes = [tile.shape[1] for tile in part.tiles]
            weights = torch.cat(scores, dim=2).softmax(2).split(sizes, dim=2)
            sums = [gather_tokens(some, tile) for some, tile in zip(weights, part.tiles, strict=True)]
            gathered.append(sums[0] if len(sums) == 1 else torch.stack(sums).sum(0))
        return attention.project_gathered(torch.cat(gathered))

    def _refine(self, index: int, tile: Tensor, weights: Tensor, values: Tensor) -> Tensor:
        """Add to image tokens ``[n or 1, s, C]`` what prompt tokens tell them, and normalise: ``[n, s, C]``."""
        weight, bias, eps = self.image_norms[index]
        return F.layer_norm(spread_tokens(weights, values, tile), weight.shape, weight, bias, eps)

    def _first_layer(self, image: PreparedImage, tokens: Tensor) -> tuple[Tensor, Tell]:
        """The layer in which all prompts share the image tokens."""
        layer, to_image, from_image = self.layers[0], self.to_image[0], self.from_image[0]
        count = len(tokens)
        queries = layer.attend_among_tokens(tokens, tokens)
        scores = to_image.queries(queries + tokens).to(self.dtype) @ image.keys
        queries = layer.norm2(queries + to_image.merge(scores.softmax(-1) @ image.values, count))
        queries = layer.norm3(queries + layer.mlp(queries))
        scores = from_image.keys(queries + tokens).to(self.dtype) @ image.queries
        weights = scores.unflatten(1, (count, -1)).softmax(2).transpose(0, 1).flatten(1, 2)
        by_tile = weights.split([tile.shape[1] for tile in image.tokens], dim=2)
        values = from_image.spread_values(queries)

        def tell(part: Part, place: int, tile: Tensor) -> Tensor:
            return self._refine(0, tile, by_tile[place][part.prompts], values[part.prompts])

        return queries, tell

    def _further_layer(
        self, index: int, image: PreparedImage, queries: Tensor, tokens: Tensor, parts: list[Part], tell: Tell
    ) -> tuple[Tensor, Tell]:
        """A layer in which every prompt has image tokens of its own, after what the layer before tells these."""
        layer, to_image, from_image = self.layers[index], self.to_image[index], self.from_image[index]
        queries = layer.attend_among_tokens(queries, tokens)
        queries = layer.norm2(queries + self._read(to_image, image, queries + tokens, parts, tell))
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = from_image.keys(queries + tokens)
        rows = from_image.absorb(keys, from_image.attention.q_proj, len(tokens))
        # The queries' bias adds to all scores of a prompt token, and does not cancel in the softmax over tokens.
        bias = from_image.attention.q_proj.bias.reshape(from_image.heads, from_image.width, 1)
        offsets = from_image.by_prompt(keys @ bias, len(tokens))
        values = from_image.spread_values(queries)

        def tell_more(part: Part, place: int, tile: Tensor) -> Tensor:
            scores = score_tokens(rows[part.prompts], tile + image.positions[place]).add_(offsets[part.prompts])
            weights = scores.unflatten(1, (from_image.heads, -1)).softmax(2).flatten(1, 2)
            return self._refine(index, tile, weights, values[part.prompts])

        return queries, tell_more

    @torch.inference_mode()
    def masks(self, attended: Attended, wanted: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Make masks.

        Args:
            attended: what :meth:`attend` gave.
            wanted: bool ``[N, masks]``, the masks to be made; a prompt without any costs nothing.
            size: rows and columns of the masks to be made, from the top left; None for all. What lies in the padding
                of the model's input need not be made.

        Returns:
            Logits ``[wanted masks, rows, columns]`` float32, in the order of ``wanted``.
        """
        columns, made = attended.columns, []
        cells = sum(tile.shape[1] for tile in attended.parts[0].tiles)
        height, width = (4 * cells // columns, 4 * columns) if size is None else size
        # A cell gives four rows and columns.
        rows_left, columns_left = -(-height // 4), -(-width // 4)
        for part in attended.parts:
            which = wanted[part.prompts]
            asked = which.any(1)
            if not asked.any():
                continue
            prompt, mask = which[asked].nonzero(as_tuple=True)
            strips = []
            row = 0
            for tile in part.tiles:
                rows = min(tile.shape[1] // columns, rows_left - row)
                if rows <= 0:
                    break
                row += rows
                used = tile.unflatten(1, (-1, columns))[:, :rows, :columns_left].flatten(1, 2)
                upscaled = self._upscale(used if len(used) == 1 else used[asked]).flatten(1, -2)
                kernels = attended.kernels[part.prompts][asked].to(upscaled.dtype)
                if len(kernels) == 1:
                    logits = linear(kernels[0, mask], upscaled[0])
                else:
                    logits = (kernels @ upscaled.mT)[prompt, mask]
                order = _cells_in_rows(rows, columns_left, tile.device)
                strips.append(logits[:, order].float().unflatten(1, (-1, 4 * columns_left)))
            made.append(torch.cat(strips, dim=1)[:, :height, :width])
        return torch.cat(made) if made else attended.predicted_iou.new_zeros(0, height, width)

    def _upscale(self, tokens: Tensor) -> Tensor:
        """``[n, S, C]`` to ``[n, S, 4, 4, C / 8]``: the 2×2 cells of each token in rows, and the 2×2 cells of each."""
        first_weight, first_bias, weight, bias, eps, second_weight, second_bias = self.upscaling
        x = linear(tokens, first_weight, first_bias).unflatten(-1, (4, -1))
        x = F.gelu(F.layer_norm(x, weight.shape, weight, bias, eps))
        return linear(x, second_weight, second_bias, "gelu").unflatten(-1, (4, -1))


class ProjectingPromptDecoder(PromptDecoder):
    """The same for mask decoders with adapters or other layers in them, whose weights alone say too little.

    Args:
        decoder: the mask decoder.
        dtype: not used; it computes in the decoder's own.
    """

    def __init__(self, decoder: MaskDecoder, dtype: torch.dtype = torch.float32) -> None:
        del dtype
        self.decoder, self.dtype = decoder, torch.float32

    @torch.inference_mode()
    def prepare(self, embedding: Tensor, positions: Tensor, no_mask: Tensor) -> PreparedImage:
        """Compute what prompts share: here the image tokens alone."""
        tokens, places = self.decoder.image_tokens(embedding, positions, no_mask.reshape(1, 1, -1, 1, 1))
        nothing = tokens.new_empty(0)
        return PreparedImage((tokens[0],), (places,), nothing, nothing, nothing, embedding.shape[-1])

    @torch.inference_mode()
    def attend(self, image: PreparedImage, sparse: Tensor, chosen: slice = slice(None)) -> Attended:
        """Run the transformer on prompts, and predict how good their masks will be."""
        mask_tokens, image_tokens, predicted_iou = self.decoder.attend_tokens(
            image.tokens[0][None], image.positions[0], sparse[None]
        )
        kernels = self.decoder.kernels(mask_tokens, chosen)[0]
        part = Part(slice(0, len(sparse)), [image_tokens[0]])
        return Attended(predicted_iou[0, :, chosen], kernels, [part], image.columns)

    def _upscale(self, tokens: Tensor) -> Tensor:
        return self.decoder.upscale_tokens(tokens[None])[0]


def _is_plain_mlp(network: nn.Module) -> bool:
    if not is_plain(network, MLP) or network.sigmoid_output:
        return False
    return all(is_plain(layer, nn.Linear) for layer in network.layers)


def absorbs_all(decoder: MaskDecoder) -> bool:
    """Say whether all of a mask decoder's layers on image tokens are what they seem, and may be rearranged.

    They must compute in float32, because prompt tokens do.
    """
    if type(decoder) is not MaskDecoder or type(decoder.transformer) is not TwoWayTransformer:
        return False
    if decoder.mask_tokens.weight.dtype != torch.float32:
        return False
    attentions = [decoder.transformer.final_attn_token_to_image]
    for layer in decoder.transformer.layers:
        if not is_plain(layer, TwoWayAttentionBlock) or not is_plain(layer.norm4, nn.LayerNorm):
            return False
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    first, norm, activation, second, last_activation = decoder.output_upscaling
    return (
        all(attention.absorbs(1) for attention in attentions)
        and all(_is_plain_mlp(network) for network in decoder.output_hypernetworks_mlps)
        and all(is_plain(layer, nn.ConvTranspose2d) for layer in (first, second))
        and is_plain(norm, LayerNorm2d)
        and all(is_plain(layer, nn.GELU) and layer.approximate == "none" for layer in (activation, last_activation))
    )


def build_prompt_decoder(decoder: MaskDecoder, dtype: torch.dtype = torch.float32) -> PromptDecoder:
    """Choose between :class:`PromptDecoder`, which is fast, and :class:`ProjectingPromptDecoder`, which takes all."""
    return (PromptDecoder if absorbs_all(decoder) else ProjectingPromptDecoder)(decoder, dtype)


@cache
def _cells_in_rows(rows: int, columns: int, device: torch.device) -> Tensor:
    """For each pixel of a mask in rows, where its cell is: they come as (row, column, 2×2 in it, 2×2 in that)."""
    cells = torch.arange(16 * rows * columns, device=device).reshape(rows, columns, 2, 2, 2, 2)
    return cells.permute(0, 2, 4, 1, 3, 5).flatten()
