"""The two-way transformer between prompt tokens and image tokens.

Prompts come in few tokens (T, about 7 for a click), images in many (S, 4096 for SAM). The cross-attentions
therefore never project the image tokens: ``q·(W x) = (Wᵀ q)·x`` and ``Σ a (W x) = W (Σ a x)``, so that the weights
are absorbed on the side of the few tokens. The key bias cancels in the softmax over image tokens; the query bias
does not on the image side. With more than 16 tokens (128 inner channels / 8 heads) projecting is cheaper again.

Shapes: B images, N prompts an image, n = 1 where all prompts of an image still share its tokens, else n = N.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from anymask.models.layers import MLPBlock
from anymask.models.linear import apply_linear, is_plain
from anymask.models.products import times_transposed, transposed_times
from anymask.models.tracing import is_recorded


def _scores_over_shared(tokens: Tensor, image: Tensor) -> Tensor:
    """``[B, N, R, C]`` against ``[B, n, S, C]`` gives ``[B, N, R, S]``; n is 1 or N."""
    batch, prompts, rows, channels = tokens.shape
    if image.shape[1] == 1 and prompts > 1:
        product = times_transposed(tokens.reshape(batch, prompts * rows, channels), image[:, 0])
        return product.reshape(batch, prompts, rows, -1)
    return times_transposed(tokens, image)


def _gather_from_shared(weights: Tensor, image: Tensor) -> Tensor:
    """``[B, N, R, S]`` times ``[B, n, S, C]`` gives ``[B, N, R, C]``; n is 1 or N."""
    batch, prompts, rows, size = weights.shape
    if image.shape[1] == 1 and prompts > 1:
        product = weights.reshape(batch, prompts * rows, size) @ image[:, 0]
        return product.reshape(batch, prompts, rows, -1)
    return weights @ image


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than the embedding's."""

    def __init__(self, embedding_dim: int, num_heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.internal_dim = embedding_dim // downsample_rate
        self.num_heads = num_heads
        if self.internal_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the inner width {self.internal_dim}")
        self.q_proj = nn.Linear(embedding_dim, self.internal_dim)
        self.k_proj = nn.Linear(embedding_dim, self.internal_dim)
        self.v_proj = nn.Linear(embedding_dim, self.internal_dim)
        self.out_proj = nn.Linear(self.internal_dim, embedding_dim)

    @property
    def _head_dim(self) -> int:
        return self.internal_dim // self.num_heads

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, self._head_dim)).transpose(-3, -2)

    def absorbs(self, tokens: int) -> bool:
        """Say whether the weights are absorbed on the side of so many tokens."""
        # An adapter or a quantised layer in the place of a projection computes more than its weight says, and what is
        # hooked in wants to be called.
        projections = (self.q_proj, self.k_proj, self.v_proj, self.out_proj)
        plain = is_plain(self, Attention) and all(is_plain(projection, nn.Linear) for projection in projections)
        # An exported graph computes in one way for any number of tokens, and most prompts have few.
        if is_recorded():
            return plain
        return plain and tokens * self.num_heads <= self.internal_dim

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from ``[..., Q, C]`` to keys and values ``[..., K, C]``, giving ``[..., Q, C]``."""
        query, key, value = (
            self._heads(apply_linear(self.q_proj, q)),
            self._heads(apply_linear(self.k_proj, k)),
            self._heads(apply_linear(self.v_proj, v)),
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(self._head_dim)
        attended = scores.softmax(dim=-1) @ value
        return apply_linear(self.out_proj, attended.transpose(-3, -2).flatten(-2))

    def tokens_to_image(self, tokens: Tensor, image_keys: Tensor, image_values: Tensor) -> Tensor:
        """Attend from few tokens to many image tokens.

        Args:
            tokens: ``[B, N, T, C]``.
            image_keys: ``[B, n, S, C]``.
            image_values: ``[B, n, S, C]``.

        Returns:
            ``[B, N, T, C]``.
        """
        if not self.absorbs(tokens.shape[2]):
            return self(tokens, image_keys, image_values)
        heads, width = self.num_heads, self._head_dim
        batch, prompts, count, _ = tokens.shape
        query = self._heads(self.q_proj(tokens)) / math.sqrt(width)
        absorbed = query @ self.k_proj.weight.unflatten(0, (heads, width))
        scores = _scores_over_shared(absorbed.flatten(2, 3), image_keys)
        gathered = _gather_from_shared(scores.softmax(dim=-1), image_values)
        gathered = gathered.reshape(batch, prompts, heads, count, -1)
        attended = gathered @ self.v_proj.weight.unflatten(0, (heads, width)).transpose(1, 2)
        attended = attended.transpose(2, 3).flatten(3) + self.v_proj.bias
        out: Tensor = self.out_proj(attended)
        return out

    def image_to_tokens(self, image_queries: Tensor, token_keys: Tensor, token_values: Tensor) -> Tensor:
        """Attend from many image tokens to few tokens.

        Args:
            image_queries: ``[B, n, S, C]``.
            token_keys: ``[B, N, T, C]``.
            token_values: ``[B, N, T, C]``.

        Returns:
            ``[B, N, S, C]``.
        """
        if not self.absorbs(token_keys.shape[2]):
            return self(image_queries, token_keys, token_values)
        heads, width = self.num_heads, self._head_dim
        key = self._heads(self.k_proj(token_keys)) / math.sqrt(width)
        absorbed = (key @ self.q_proj.weight.unflatten(0, (heads, width))).flatten(2, 3)
        bias = (key @ self.q_proj.bias.reshape(heads, width, 1)).flatten(2, 3)
        # Tokens stay in the rows: a softmax over rows runs along contiguous image positions.
        scores = _scores_over_shared(absorbed, image_queries) + bias
        weights = scores.unflatten(2, (heads, -1)).softmax(dim=3).flatten(2, 3)
        value = self._heads(self.v_proj(token_values))
        out_weight = self.out_proj.weight.unflatten(1, (heads, width)).permute(1, 2, 0)
        projected = (value @ out_weight).flatten(2, 3)
        out = transposed_times(weights, projected)
        # A float32 bias would make float32 of a product in bfloat16.
        return out + self.out_proj.bias.to(out.dtype)


class TwoWayAttentionBlock(nn.Module):
    """Self-attention of tokens, tokens to image, an MLP on tokens, image to tokens (paper, figure 14)."""

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int = 2048,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
        skip_first_layer_pe: bool = False,
    ) -> None:
        super().__init__()
        self.self_attn = Attention(embedding_dim, num_heads)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.cross_attn_token_to_image = Attention(embedding_dim, num_heads, attention_downsample_rate)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mlp = MLPBlock(embedding_dim, mlp_dim, activation)
        self.norm3 = nn.LayerNorm(embedding_dim)
        self.norm4 = nn.LayerNorm(embedding_dim)
        self.cross_attn_image_to_token = Attention(embedding_dim, num_heads, attention_downsample_rate)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Update tokens ``[B, N, T, C]`` and image tokens ``[B, n, S, C]`` (returned as ``[B, N, S, C]``)."""
        queries = self.attend_among_tokens(queries, query_pe)
        keys_positioned = keys + key_pe
        queries = queries + self.cross_attn_token_to_image.tokens_to_image(queries + query_pe, keys_positioned, keys)
        queries = self.norm2(queries)
        queries = self.norm3(queries + self.mlp(queries))
        keys = keys + self.cross_attn_image_to_token.image_to_tokens(keys_positioned, queries + query_pe, queries)
        return queries, self.norm4(keys)

    def attend_among_tokens(self, queries: Tensor, query_pe: Tensor) -> Tensor:
        """Update tokens ``[..., T, C]`` by each other."""
        if self.skip_first_layer_pe:
            queries = self.self_attn(queries, queries, queries)
        else:
            positioned = queries + query_pe
            queries = queries + self.self_attn(positioned, positioned, queries)
        normalised: Tensor = self.norm1(queries)
        return normalised


class TwoWayTransformer(nn.Module):
    """The mask decoder's transformer: tokens attend to the image and the image to tokens, ``depth`` times."""

    def __init__(
        self,
        depth: int,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(
                embedding_dim,
                num_heads,
                mlp_dim,
                activation,
                attention_downsample_rate,
                skip_first_layer_pe=index == 0,
            )
            for index in range(depth)
        )
        self.final_attn_token_to_image = Attention(embedding_dim, num_heads, attention_downsample_rate)
        self.norm_final_attn = nn.LayerNorm(embedding_dim)

    def attend(self, image_tokens: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run on grouped prompts.

        Args:
            image_tokens: ``[B, n, S, C]``: n is 1 where the prompts of an image share its tokens, else N.
            image_pe: ``[S, C]``.
            tokens: ``[B, N, T, C]``.

        Returns:
            Tokens ``[B, N, T, C]`` and image tokens ``[B, N, S, C]``.
        """
        queries, keys = tokens, image_tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, image_pe)
        attended = self.final_attn_token_to_image.tokens_to_image(queries + tokens, keys + image_pe, keys)
        return self.norm_final_attn(queries + attended), keys

    def forward(self, image_embedding: Tensor, image_pe: Tensor, point_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Run on maps, with the published signature.

        Args:
            image_embedding: ``[M, C, h, w]``.
            image_pe: ``[1 or M, C, h, w]``, the same for all.
            point_embedding: ``[M, T, C]``.

        Returns:
            Tokens ``[M, T, C]`` and image tokens ``[M, h·w, C]``.
        """
        image_tokens = image_embedding.flatten(2).transpose(1, 2).unsqueeze(1)
        positions = image_pe[0].flatten(1).transpose(0, 1)
        queries, keys = self.attend(image_tokens, positions, point_embedding.unsqueeze(1))
        return queries.squeeze(1), keys.squeeze(1)
