"""Attention between few prompt tokens and many image tokens, with the weights on the prompts' side.

The algebra is that of :mod:`anymask.models.transformer`; here without gradients, and in products that oneDNN
takes where the image tokens are those of one prompt.

Shapes: n prompts of one product, S image tokens, and others as in :mod:`anymask.models.prompt_decoder`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anymask.models.linear import add_linear, apply_linear, linear
from anymask.models.transformer import Attention


def score_tokens(rows: Tensor, image: Tensor) -> Tensor:
    """``[n, R, C]`` against ``[n, S, C]`` gives ``[n, R, S]``."""
    if len(rows) == 1:
        return linear(rows[0], image[0])[None]
    return rows @ image.mT


def gather_tokens(weights: Tensor, image: Tensor) -> Tensor:
    """``[n, R, S]`` times ``[n, S, C]`` gives ``[n, R, C]``."""
    if len(weights) == 1:
        return linear(weights[0], image[0].T)[None]
    return weights @ image


def spread_tokens(weights: Tensor, values: Tensor, base: Tensor) -> Tensor:
    """The transpose of ``[n, R, S]`` times ``[n, R, C]``, added to ``[n or 1, S, C]``, gives ``[n, S, C]``."""
    if len(weights) == 1:
        return add_linear(base[0], weights[0].T, values[0].T)[None]
    return base + weights.mT @ values


class AbsorbedAttention:
    """Attention between few prompt tokens and many image tokens, with the weights on the prompts' side.

    Heads come first, ``[H, N·T, d]``, so that the prompt tokens of all prompts are rows of one product for each head.
    """

    def __init__(self, attention: Attention, dtype: torch.dtype) -> None:
        self.attention, self.dtype = attention, dtype
        self.heads = attention.num_heads
        self.width = attention.internal_dim // attention.num_heads

    def by_head(self, projection: nn.Module, tokens: Tensor) -> Tensor:
        """Project prompt tokens ``[N, T, C]`` to ``[H, N·T, d]``."""
        return apply_linear(projection, tokens.flatten(0, 1)).unflatten(-1, (self.heads, self.width)).transpose(0, 1)

    def weight(self, projection: nn.Module) -> Tensor:
        """The weight of a projection to heads, as ``[H, d, C]``."""
        assert isinstance(projection, nn.Linear)
        return projection.weight.unflatten(0, (self.heads, self.width))

    def queries(self, tokens: Tensor) -> Tensor:
        """Scaled queries ``[H, N·T, d]`` of prompt tokens."""
        return self.by_head(self.attention.q_proj, tokens) / math.sqrt(self.width)

    def keys(self, tokens: Tensor) -> Tensor:
        """Scaled keys ``[H, N·T, d]`` of prompt tokens."""
        return self.by_head(self.attention.k_proj, tokens) / math.sqrt(self.width)

    def by_prompt(self, x: Tensor, count: int) -> Tensor:
        """``[H, N·T, c]`` to ``[N, R, c]``, in the type of image tokens."""
        return x.unflatten(1, (count, -1)).transpose(0, 1).to(self.dtype).flatten(1, 2)

    def absorb(self, rows: Tensor, projection: nn.Module, count: int) -> Tensor:
        """Move the projection of image tokens to ``[H, N·T, d]``, giving ``[N, R, C]``."""
        return self.by_prompt(rows @ self.weight(projection), count)

    def merge(self, attended: Tensor, count: int) -> Tensor:
        """Join the heads' values ``[H, N·T, d]``, and project them to ``[N, T, C]``."""
        joined = attended.transpose(0, 1).flatten(1).to(self.attention.out_proj.weight.dtype)
        return apply_linear(self.attention.out_proj, joined).unflatten(0, (count, -1))

    def project_gathered(self, gathered: Tensor) -> Tensor:
        """Project image tokens ``[N, R, C]``, each head's sum of them, to what the prompt tokens get ``[N, T, C]``."""
        by_head = gathered.unflatten(1, (self.heads, -1)).transpose(0, 1).to(self.attention.v_proj.weight.dtype)
        attended = by_head.flatten(1, 2) @ self.weight(self.attention.v_proj).mT
        bias = self.attention.v_proj.bias.reshape(self.heads, 1, self.width)
        return self.merge(attended + bias, len(gathered))

    def spread_values(self, tokens: Tensor) -> Tensor:
        """Project prompt tokens to what they give to image tokens, ``[N, R, C]``.

        The weights of each head add up to 1, so that each head can carry its share of the output's bias.
        """
        out_weight = self.attention.out_proj.weight.unflatten(1, (self.heads, self.width)).permute(1, 2, 0)
        shares = (self.attention.out_proj.bias / self.heads).expand(self.heads, 1, -1)
        values = torch.baddbmm(shares, self.by_head(self.attention.v_proj, tokens), out_weight)
        return self.by_prompt(values, len(tokens))
