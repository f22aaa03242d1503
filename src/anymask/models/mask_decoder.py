"""The mask decoder: image and prompt embeddings to mask logits and their predicted quality."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.layers import LayerNorm2d
from anymask.models.linear import apply_linear
from anymask.models.transformer import TwoWayTransformer


class MLP(nn.Module):
    """Linear layers with ReLU between them; ``sigmoid_output`` squashes the result."""

    def __init__(
        self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int, sigmoid_output: bool = False
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        widths = [input_dim, *[hidden_dim] * (num_layers - 1), output_dim]
        self.layers = nn.ModuleList(nn.Linear(n, k) for n, k in itertools.pairwise(widths))
        self.sigmoid_output = sigmoid_output

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., input_dim]`` to ``[..., output_dim]``."""
        for layer in self.layers[:-1]:
            x = apply_linear(layer, x, "relu")
        x = apply_linear(self.layers[-1], x)
        return x.sigmoid() if self.sigmoid_output else x


def _transposed_convolution(tokens: Tensor, layer: nn.Module) -> Tensor:
    """Apply a 2×2 transposed convolution of stride 2 to ``[..., C]``, giving ``[..., 4, C']``."""
    assert isinstance(layer, nn.ConvTranspose2d)
    assert layer.bias is not None
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    return F.linear(tokens, weight, layer.bias.repeat(4)).unflatten(-1, (4, -1))


class MaskDecoder(nn.Module):
    """Predicts masks from one image embedding and prompt embeddings (paper, section 3 and appendix A).

    Args:
        transformer_dim: channels of the embeddings.
        transformer: the two-way transformer.
        num_multimask_outputs: masks for an ambiguous prompt.
        activation: activation of the upscaling.
        iou_head_depth: layers of the quality head.
        iou_head_hidden_dim: hidden width of the quality head.
    """

    def __init__(
        self,
        *,
        transformer_dim: int,
        transformer: TwoWayTransformer,
        num_multimask_outputs: int = 3,
        activation: type[nn.Module] = nn.GELU,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
    ) -> None:
        super().__init__()
        self.transformer_dim = transformer_dim
        self.transformer = transformer
        self.num_multimask_outputs = num_multimask_outputs
        self.num_mask_tokens = num_multimask_outputs + 1
        self.iou_token = nn.Embedding(1, transformer_dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, transformer_dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(transformer_dim, transformer_dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(transformer_dim // 4),
            activation(),
            nn.ConvTranspose2d(transformer_dim // 4, transformer_dim // 8, kernel_size=2, stride=2),
            activation(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(transformer_dim, transformer_dim, transformer_dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(transformer_dim, iou_head_hidden_dim, self.num_mask_tokens, iou_head_depth)

    def decode(
        self, image_embeddings: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict all masks of N prompts on each of B images.

        Args:
            image_embeddings: ``[B, C, h, w]``.
            image_pe: ``[1, C, h, w]``.
            sparse: ``[B, N, T, C]`` prompt tokens.
            dense: ``[B, n, C, h or 1, w or 1]``: n is 1 where all prompts share it (no mask given), else N.

        Returns:
            Logits ``[B, N, masks, 4h, 4w]`` (the first mask answers unambiguous prompts) and predicted IoU
            ``[B, N, masks]``.
        """
        keys, positions = self.image_tokens(image_embeddings, image_pe, dense)
        return self.decode_tokens(keys, positions, sparse, image_embeddings.shape[-1])

    def image_tokens(self, image_embeddings: Tensor, image_pe: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Turn maps into tokens, as :meth:`decode_tokens` takes them.

        Args:
            image_embeddings: ``[B, C, h, w]``.
            image_pe: ``[1, C, h, w]``.
            dense: ``[B, n, C, h or 1, w or 1]``: n is 1 where all prompts share it (no mask given), else N.

        Returns:
            Image tokens ``[B, n, S, C]`` and positions ``[S, C]``.
        """
        # The image tokens are most of the memory traffic, so they follow the precision of the products.
        dtype = self.token_dtype(image_embeddings.device)
        keys = image_embeddings.to(dtype).unsqueeze(1) + dense.to(dtype)
        keys = keys.flatten(3).transpose(2, 3).contiguous()
        return keys, image_pe[0].flatten(1).transpose(0, 1).to(dtype).contiguous()

    def token_dtype(self, device: torch.device) -> torch.dtype:
        """Say in which type image tokens are computed: that of the products."""
        autocast = torch.is_autocast_enabled(device.type)
        return torch.get_autocast_dtype(device.type) if autocast else self.mask_tokens.weight.dtype

    def decode_tokens(
        self, image_tokens: Tensor, positions: Tensor, sparse: Tensor, columns: int, chosen: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Predict masks of N prompts on each of B images, whose embeddings are tokens already.

        Args:
            image_tokens: ``[B, n, S, C]``: n is 1 where all prompts share it (no mask given), else N.
            positions: ``[S, C]``.
            sparse: ``[B, N, T, C]`` prompt tokens.
            columns: columns w of the image embedding; S is h·w.
            chosen: which masks are wanted; the others cost nothing.

        Returns:
            Logits ``[B, N, chosen masks, 4h, 4w]`` (the first mask of all answers unambiguous prompts) and predicted
            IoU of all masks ``[B, N, masks]``.
        """
        mask_queries, keys, predicted_iou = self.attend_tokens(image_tokens, positions, sparse)
        return self.masks_from_tokens(mask_queries, keys, columns, chosen), predicted_iou

    def attend_tokens(self, image_tokens: Tensor, positions: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the transformer, and predict how good the masks of N prompts on each of B images will be.

        It is the part before any mask exists: :meth:`masks_from_tokens` may go on with only the prompts worth it.

        Args:
            image_tokens: ``[B, n, S, C]``: n is 1 where all prompts share it (no mask given), else N.
            positions: ``[S, C]``.
            sparse: ``[B, N, T, C]`` prompt tokens.

        Returns:
            Mask tokens ``[B, N, masks, C]``, image tokens ``[B, N, S, C]`` and predicted IoU ``[B, N, masks]``.
        """
        batch, prompts = sparse.shape[:2]
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(batch, prompts, -1, -1), sparse.to(output_tokens.dtype)], dim=2)
        queries, keys = self.transformer.attend(image_tokens, positions, tokens)
        predicted_iou = self.iou_prediction_head(queries[:, :, 0])
        return queries[:, :, 1 : 1 + self.num_mask_tokens], keys, predicted_iou

    def masks_from_tokens(
        self, mask_queries: Tensor, image_tokens: Tensor, columns: int, chosen: slice = slice(None)
    ) -> Tensor:
        """Upscale image tokens, and make masks of them.

        Args:
            mask_queries: ``[B, N, masks, C]`` mask tokens.
            image_tokens: ``[B, N, S, C]``.
            columns: columns w of the image embedding; S is h·w.
            chosen: which masks are wanted; the others cost nothing.

        Returns:
            Logits ``[B, N, chosen masks, 4h, 4w]``.
        """
        batch, prompts = mask_queries.shape[:2]
        kernels = self.kernels(mask_queries, chosen)
        masks = kernels.shape[2]
        upscaled = self.upscale_tokens(image_tokens)
        logits = upscaled.flatten(2, 4) @ kernels.transpose(2, 3)
        # Cells are (row, column, row in 2x2, column in 2x2, row in 2x2 of that, column in 2x2 of that).
        logits = logits.reshape(batch, prompts, -1, columns, 2, 2, 2, 2, masks)
        logits = logits.permute(0, 1, 8, 2, 4, 6, 3, 5, 7)
        return logits.reshape(batch, prompts, masks, -1, 4 * columns)

    def kernels(self, mask_queries: Tensor, chosen: slice = slice(None)) -> Tensor:
        """Map mask tokens ``[B, N, masks, C]`` to what upscaled tokens are multiplied by, ``[B, N, chosen, C/8]``."""
        wanted = range(self.num_mask_tokens)[chosen]
        return torch.stack([self.output_hypernetworks_mlps[i](mask_queries[:, :, i]) for i in wanted], dim=2)

    def upscale_tokens(self, image_tokens: Tensor) -> Tensor:
        """Apply ``output_upscaling`` to tokens instead of a map.

        A transposed convolution whose stride is its kernel's size is a linear layer; on tokens it needs no
        rearrangement of memory, and what is rearranged afterwards are a few masks instead of many channels.

        Args:
            image_tokens: ``[B, N, S, C]``.

        Returns:
            ``[B, N, S, 4, 4, C/8]``: for each token its 2×2 cells in rows, and the 2×2 cells of each.
        """
        first, norm, activation, second, last_activation = self.output_upscaling
        assert isinstance(norm, LayerNorm2d)
        x = _transposed_convolution(image_tokens, first)
        x = activation(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        upscaled: Tensor = last_activation(_transposed_convolution(x, second))
        return upscaled

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Predict masks with the published signature.

        Args:
            image_embeddings: ``[1 or M, C, h, w]``.
            image_pe: ``[1, C, h, w]``.
            sparse_prompt_embeddings: ``[M, T, C]``.
            dense_prompt_embeddings: ``[M, C, h, w]``.
            multimask_output: three masks for an ambiguous prompt, else one.

        Returns:
            Logits ``[M, 3 or 1, 4h, 4w]`` and predicted IoU ``[M, 3 or 1]``.
        """
        logits, predicted_iou = self.predict_masks(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings
        )
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return logits[:, chosen], predicted_iou[:, chosen]

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict all masks, of which :meth:`forward` chooses; published, and called by exporters.

        Args:
            image_embeddings: ``[1 or M, C, h, w]``.
            image_pe: ``[1, C, h, w]``.
            sparse_prompt_embeddings: ``[M, T, C]``.
            dense_prompt_embeddings: ``[1 or M, C, h, w]``.

        Returns:
            Logits ``[M, 4, 4h, 4w]`` (the first answers unambiguous prompts) and predicted IoU ``[M, 4]``.
        """
        if image_embeddings.shape[0] == 1:
            sparse, dense = sparse_prompt_embeddings[None], dense_prompt_embeddings[None]
            # One embedding is expanded over prompts without a mask: they can share the image tokens.
            if dense_prompt_embeddings.stride(0) == 0:
                dense = dense[:, :1]
        else:
            sparse, dense = sparse_prompt_embeddings[:, None], dense_prompt_embeddings[:, None]
        logits, predicted_iou = self.decode(image_embeddings, image_pe, sparse, dense)
        return logits.flatten(0, 1), predicted_iou.flatten(0, 1)
