"""A decoder for clicks in a browser: all that depends on the image alone is computed once, with the embedding.

Prompts without a mask share the image tokens K that enter the transformer. Three things follow, all of them exact:

- The first layer's projections of K are computed once an image.
- After the first layer the tokens are ``K + A V``, where A (a row for each position, a column for each head of each
  prompt token) and V (a row for each of these columns) are the image's attention to the prompt. A layer norm centres
  each row, divides it by its deviation and shifts all alike, so what is projected from it is
  ``(K M + A (V M)) / deviation + shift``, with centring and weights in M. ``K M`` is computed once an image, and A has
  few columns. The same holds for the first transposed convolution, which comes two norms later.
- The last attention is read by the mask and quality tokens only, so that only they take part in it.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.export.check import Agreement, compare_studio, compare_studio_image
from anymask.export.decoder import best_mask
from anymask.export.errors import ExportError
from anymask.export.files import DEFAULT_OPSET, POINT_AXES, Exported, Part, check_request, in_float32, trace, write
from anymask.models.layers import LayerNorm2d
from anymask.models.sam import Sam
from anymask.models.transformer import Attention, TwoWayAttentionBlock
from anymask.segment.segmenter import Segmenter

IMAGE_PARTS = ("image_keys", "image_values", "image_queries", "image_shared")
OUTPUTS = ("low_res_masks", "iou_predictions")


def _check_network(network: Sam) -> None:
    decoder = network.mask_decoder
    plain = all(
        type(projection) is nn.Linear
        for module in decoder.transformer.modules()
        if isinstance(module, Attention)
        for projection in (module.q_proj, module.k_proj, module.v_proj, module.out_proj)
    )
    if decoder.transformer.depth != 2 or not plain or not isinstance(decoder.output_upscaling[1], LayerNorm2d):
        raise ExportError(
            "the studio decoder is made for SAM's mask decoder (two layers, plain projections), and this model has "
            "another: use --part decoder"
        )


def _blocks(network: Sam) -> list[TwoWayAttentionBlock]:
    return [layer for layer in network.mask_decoder.transformer.layers if isinstance(layer, TwoWayAttentionBlock)]


def _positions(network: Sam) -> Tensor:
    encoding: Tensor = network.prompt_encoder.get_dense_pe()
    return encoding[0].flatten(1).transpose(0, 1)


def _split(x: Tensor, heads: int) -> Tensor:
    """``[R, heads·w]`` to ``[heads, R, w]``."""
    by_head: Tensor = x.unflatten(-1, (heads, -1)).transpose(0, 1)
    return by_head


def _merge(x: Tensor) -> Tensor:
    """``[heads, R, w]`` to ``[R, heads·w]``."""
    return x.transpose(0, 1).flatten(1)


def _centre(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _after_heads(attention: Attention, weight: Tensor) -> Tensor:
    """Fold what comes after an attention ``[C, D]`` into its last projection: ``[heads, w, D]``."""
    folded = attention.out_proj.weight.double().T @ weight
    by_head: Tensor = folded.unflatten(0, (attention.num_heads, -1)).float()
    return by_head


class _Folded:
    """Weights of the transformer folded into each other, in float64 until the end."""

    @torch.no_grad()
    def __init__(self, network: Sam) -> None:
        first, second = _blocks(network)
        inward, outward = second.cross_attn_token_to_image, second.cross_attn_image_to_token
        upscaling = network.mask_decoder.output_upscaling[0]
        assert isinstance(upscaling, nn.ConvTranspose2d)
        assert upscaling.bias is not None
        gain, shift = first.norm4.weight.double(), first.norm4.bias.double()
        # Columns are the 2×2 cells in rows, and the channels of each.
        upscaled = upscaling.weight.double().permute(0, 2, 3, 1).flatten(1)
        projections = torch.cat([inward.k_proj.weight, inward.v_proj.weight, outward.q_proj.weight]).double().T
        scaled_up = second.norm4.weight.double()[:, None] * upscaled
        # Centring a row is a product with a symmetric matrix, so it can be done to the columns of what comes after.
        centred_up = scaled_up - scaled_up.mean(0)
        eye = torch.eye(len(gain), dtype=torch.float64, device=gain.device)
        everything = torch.cat([eye, gain[:, None] * projections, gain[:, None] * centred_up], dim=1)
        everything = everything - everything.mean(0)
        self.after_first = everything.float()
        self.outward_first = _after_heads(first.cross_attn_image_to_token, everything)
        self.outward_second = _after_heads(outward, torch.cat([eye - eye.mean(0), centred_up], dim=1))
        biases = torch.cat([inward.k_proj.bias, inward.v_proj.bias, outward.q_proj.bias]).double()
        self.projection_shift = (shift @ projections + biases).float()
        self.middle_shift = (shift + outward.out_proj.bias.double()).float()
        self.upscaling_shift = ((shift + outward.out_proj.bias.double()) @ centred_up).float()
        self.upscaling_bias = (second.norm4.bias.double() @ upscaled + upscaling.bias.double().repeat(4)).float()


class StudioImagePart(nn.Module):
    """What the studio decoder needs to know of an image.

    Args:
        network: the model.
    """

    positions: Tensor
    after_first: Tensor

    @torch.no_grad()
    def __init__(self, network: Sam) -> None:
        super().__init__()
        _check_network(network)
        block = _blocks(network)[0]
        self.inward, self.outward = block.cross_attn_token_to_image, block.cross_attn_image_to_token
        self.no_mask_embed = network.prompt_encoder.no_mask_embed
        self.register_buffer("positions", _positions(network), persistent=False)
        self.register_buffer("after_first", _Folded(network).after_first, persistent=False)

    @torch.no_grad()
    def forward(self, image_embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute it.

        Args:
            image_embeddings: ``[1, C, g, g]``.

        Returns:
            Keys ``[heads, w, S]``, values and queries ``[heads, S, w]`` of the first layer (w channels a head, S = g²
            positions), and ``[S, D]`` of what the later ones share.
        """
        heads = self.inward.num_heads
        tokens = image_embeddings[0].flatten(1).transpose(0, 1) + self.no_mask_embed.weight
        positioned = tokens + self.positions
        keys = _split(self.inward.k_proj(positioned), heads).transpose(1, 2).contiguous()
        values = _split(self.inward.v_proj(tokens), heads).contiguous()
        queries = _split(self.outward.q_proj(positioned), heads).contiguous()
        return keys, values, queries, (tokens + self.outward.out_proj.bias) @ self.after_first


class StudioDecoder(nn.Module):
    """Points and boxes on an image of which :class:`StudioImagePart` has told the rest, to masks in low resolution.

    Args:
        network: the model.
        single_mask: give the one mask that suits the number of points instead of all four.
    """

    outward_first: Tensor
    outward_second: Tensor
    projection_shift: Tensor
    middle_shift: Tensor
    upscaling_shift: Tensor
    upscaling_bias: Tensor
    key_positions: Tensor
    query_positions: Tensor
    last_key_positions: Tensor

    @torch.no_grad()
    def __init__(self, network: Sam, single_mask: bool) -> None:
        super().__init__()
        _check_network(network)
        self.single_mask = single_mask
        self.prompt_encoder, self.mask_decoder = network.prompt_encoder, network.mask_decoder
        self.first, self.second = _blocks(network)
        self.last = network.mask_decoder.transformer.final_attn_token_to_image
        self.heads = self.last.num_heads
        self.grid = network.prompt_encoder.image_embedding_size
        # Of what is shared: the tokens, three projections of them, and what the first transposed convolution takes.
        width, inner = network.mask_decoder.transformer_dim, self.last.internal_dim
        self.widths = [width, 3 * inner, width]
        for name, value in vars(_Folded(network)).items():
            if name != "after_first":
                self.register_buffer(name, value, persistent=False)
        positions = _positions(network)
        inward, outward = self.second.cross_attn_token_to_image, self.second.cross_attn_image_to_token
        for name, weight in (("key_positions", inward.k_proj.weight), ("last_key_positions", self.last.k_proj.weight)):
            self.register_buffer(name, self._split_columns(positions @ weight.T), persistent=False)
        self.register_buffer("query_positions", _split(positions @ outward.q_proj.weight.T, self.heads), False)

    def _split_columns(self, x: Tensor) -> Tensor:
        return _split(x, self.heads).transpose(1, 2)

    def _inward(self, attention: Attention, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from tokens ``[T, C]`` to keys ``[heads, w, S]`` and values ``[heads, S, w]``."""
        query = _split(attention.q_proj(queries), self.heads) / math.sqrt(keys.shape[1])
        attended: Tensor = attention.out_proj(_merge((query @ keys).softmax(-1) @ values))
        return attended

    def _outward(
        self, attention: Attention, image_queries: Tensor, keys: Tensor, values: Tensor, last_weight: Tensor
    ) -> Tensor:
        """Attend from the image ``[heads, S, w]`` to tokens ``[T, C]``, through ``[heads, w, D]``: ``[S, D]``."""
        key = _split(attention.k_proj(keys), self.heads) / math.sqrt(image_queries.shape[-1])
        weights = (image_queries @ key.transpose(1, 2)).softmax(-1)
        value = _split(attention.v_proj(values), self.heads) @ last_weight
        return _merge(weights) @ value.flatten(0, 1)

    def _tokens_between(self, block: TwoWayAttentionBlock, queries: Tensor, attended: Tensor) -> Tensor:
        queries = block.norm2(queries + attended)
        normalised: Tensor = block.norm3(queries + block.mlp(queries))
        return normalised

    def _last_queries(self, queries: Tensor, tokens: Tensor, keys: Tensor) -> Tensor:
        """Let the quality and mask tokens attend to image tokens ``[S, C]`` for the last time."""
        attention, width = self.last, self.last.internal_dim // self.heads
        query = _split(attention.q_proj(queries + tokens), self.heads) / math.sqrt(width)
        absorbed = (query @ attention.k_proj.weight.unflatten(0, (self.heads, width))).flatten(0, 1)
        scores = absorbed @ keys.transpose(0, 1) + (query @ self.last_key_positions).flatten(0, 1)
        gathered = (scores.softmax(-1) @ keys).unflatten(0, (self.heads, -1))
        value = gathered @ attention.v_proj.weight.unflatten(0, (self.heads, width)).transpose(1, 2)
        attended = attention.out_proj(_merge(value) + attention.v_proj.bias)
        normalised: Tensor = self.mask_decoder.transformer.norm_final_attn(queries + attended)
        return normalised

    @torch.no_grad()
    def forward(
        self,
        image_keys: Tensor,
        image_values: Tensor,
        image_queries: Tensor,
        image_shared: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Answer a prompt without a mask.

        Args:
            image_keys: these four as :class:`StudioImagePart` gives them.
            image_values: see there.
            image_queries: see there.
            image_shared: see there.
            point_coords: ``[1, N, 2]`` (x, y) in pixels of the resized image.
            point_labels: ``[1, N]``: 1 on the object, 0 not on it, 2 and 3 the corners of a box, -1 no point.

        Returns:
            Logits ``[1, 4 or 1, 4g, 4g]`` (the first of four answers unambiguous prompts) and predicted IoU
            ``[1, 4 or 1]``.
        """
        decoder, first, second = self.mask_decoder, self.first, self.second
        sparse = self.prompt_encoder.embed_points(point_coords, point_labels, pad=False)[0]
        tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, sparse])

        queries = first.norm1(first.self_attn(tokens, tokens, tokens))
        attended = self._inward(first.cross_attn_token_to_image, queries + tokens, image_keys, image_values)
        queries = self._tokens_between(first, queries, attended)
        mixed = image_shared + self._outward(
            first.cross_attn_image_to_token, image_queries, queries + tokens, queries, self.outward_first
        )
        middle, projected, upscaled = mixed.split(self.widths, dim=-1)
        scale = (middle.square().mean(-1, keepdim=True) + first.norm4.eps).rsqrt()
        keys, values, image_queries = (projected * scale + self.projection_shift).chunk(3, dim=-1)

        positioned = queries + tokens
        queries = second.norm1(queries + second.self_attn(positioned, positioned, queries))
        keys, values = self._split_columns(keys) + self.key_positions, _split(values, self.heads)
        attended = self._inward(second.cross_attn_token_to_image, queries + tokens, keys, values)
        queries = self._tokens_between(second, queries, attended)
        image_queries = _split(image_queries, self.heads) + self.query_positions
        added, added_up = self._outward(
            second.cross_attn_image_to_token, image_queries, queries + tokens, queries, self.outward_second
        ).split([self.widths[0], self.widths[2]], dim=-1)
        middle = _centre(middle * scale * first.norm4.weight + self.middle_shift) + added
        upscaled = upscaled * scale + self.upscaling_shift + added_up
        scale = (middle.square().mean(-1, keepdim=True) + second.norm4.eps).rsqrt()
        upscaled = upscaled * scale + self.upscaling_bias
        image_tokens = middle * scale * second.norm4.weight + second.norm4.bias

        count = 1 + decoder.num_mask_tokens
        queries = self._last_queries(queries[:count], tokens[:count], image_tokens)
        scores = decoder.iou_prediction_head(queries[:1])
        kernels = torch.stack([mlp(queries[1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)])
        if self.single_mask:
            best = best_mask(scores, point_coords.shape[1])
            kernels, scores = kernels.index_select(0, best), scores.index_select(1, best)
        return self._masks(upscaled, kernels)[None], scores

    def _masks(self, upscaled: Tensor, kernels: Tensor) -> Tensor:
        """Go on from the first transposed convolution ``[S, 4·C/4]``, with kernels ``[masks, C/8]``: logits."""
        _, norm, activation, second, last_activation = self.mask_decoder.output_upscaling
        assert isinstance(norm, LayerNorm2d)
        assert isinstance(second, nn.ConvTranspose2d)
        assert second.bias is not None
        x = activation(
            F.layer_norm(upscaled.unflatten(1, (4, -1)), norm.weight.shape, norm.weight, norm.bias, norm.eps)
        )
        x = x @ second.weight.permute(0, 2, 3, 1).flatten(1) + second.bias.repeat(4)
        rows, columns = self.grid
        logits: Tensor = last_activation(x.unflatten(-1, (4, -1))) @ kernels.T
        # Cells are (row, column), (row, column) in 2×2 and again in 2×2 of that.
        logits = logits.reshape(rows, columns, 2, 2, 2, 2, -1).permute(6, 0, 2, 4, 1, 3, 5)
        return logits.reshape(-1, 4 * rows, 4 * columns)


def studio_image_part(segmenter: Segmenter, embedding: Tensor) -> dict[str, Tensor]:
    """Compute what the studio decoder needs to know of an image, by the names of its inputs.

    Args:
        segmenter: the model.
        embedding: ``[1, C, g, g]``, such as ``EncodedImage.embedding``.

    Returns:
        Four float32 tensors; five times as many numbers as the embedding has.

    Raises:
        ExportError: the model's mask decoder is not SAM's.
    """
    return dict(zip(IMAGE_PARTS, StudioImagePart(segmenter.network)(embedding), strict=True))


def export_studio_image(
    segmenter: Segmenter, path: str | Path, *, opset: int = DEFAULT_OPSET, check: bool = True
) -> Exported:
    """Write :func:`studio_image_part` as an ONNX file, for programs that get nothing but the embedding.

    Its input is ``image_embeddings``, its outputs are what the studio decoder takes, all float32.

    Args:
        segmenter: the model.
        path: the file; its name ends in ``.onnx``. It is written beside its place and renamed.
        opset: ONNX operator set.
        check: compare the file with the network, in ONNX Runtime, before it gets its name.

    Raises:
        ExportError: the path or opset cannot be used, the model's mask decoder is not SAM's, or the file does not
            compute what the network does.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    path = check_request(path, opset)
    exact = in_float32(segmenter)
    graph, encoder = StudioImagePart(exact.network).eval(), exact.prompt_encoder
    inputs = {"image_embeddings": torch.zeros(1, encoder.embed_dim, *encoder.image_embedding_size)}
    model = trace(graph, inputs, IMAGE_PARTS, {}, {}, opset)

    def agree(file: Path) -> Agreement:
        return compare_studio_image(file, exact, lambda embedding: studio_image_part(exact, embedding))

    return write(model, path, exact, Part("studio-image"), agree if check else None)


def export_studio(
    segmenter: Segmenter,
    path: str | Path,
    *,
    single_mask: bool = False,
    eight_bit: bool = False,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
) -> Exported:
    """Write the decoder for clicks as an ONNX file.

    Inputs and outputs, all float32, are those of :meth:`StudioDecoder.forward`, for any number of points. Its masks
    are in low resolution and cover the padded square; a prompt with a mask needs :func:`export_decoder`'s file.

    Args:
        segmenter: the model.
        path: the file; its name ends in ``.onnx``. It is written beside its place and renamed.
        single_mask: give one mask, chosen by the published rule, instead of four.
        eight_bit: keep the weights of matrix products in 8 bits, and multiply in 8 bits.
        opset: ONNX operator set.
        check: compare the file with the network, in ONNX Runtime, before it gets its name.

    Raises:
        ExportError: the path or opset cannot be used, the model's mask decoder is not SAM's, or the file does not
            compute what the network does.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    path = check_request(path, opset)
    exact = in_float32(segmenter)
    graph = StudioDecoder(exact.network, single_mask).eval()
    encoder, side = exact.prompt_encoder, exact.input_side
    inputs = studio_image_part(exact, torch.zeros(1, encoder.embed_dim, *encoder.image_embedding_size))
    inputs |= {"point_coords": torch.full((1, 5, 2), side / 2), "point_labels": torch.tensor([[1.0, 0, 2, 3, -1]])}
    model = trace(graph, inputs, OUTPUTS, POINT_AXES, {}, opset)

    def agree(file: Path) -> Agreement:
        return compare_studio(
            file, exact, lambda embedding: studio_image_part(exact, embedding), single_mask, exact=not eight_bit
        )

    part = Part("studio", "single-mask" if single_mask else "", eight_bit)
    return write(model, path, exact, part, agree if check else None)
