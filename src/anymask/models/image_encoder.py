"""SAM's image encoder: a plain vision transformer with windowed and global attention (ViTDet)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from anymask.models.freed_memory import keep_freed_blocks
from anymask.models.grid_attention import attend_globally, attend_in_windows, fit_table, join_tables
from anymask.models.layers import LayerNorm2d, MLPBlock
from anymask.models.linear import apply_linear, is_plain, linear
from anymask.models.tracing import is_recorded

# Tokens that go through a linear layer at a time: what is between two layers stays in the cache.
_TOKENS = 1024


class ImageEncoderViT(nn.Module):
    """A vision transformer with a convolutional neck (paper, appendix A; Li et al. 2022).

    Args:
        img_size: side of the square input in pixels.
        patch_size: side of a patch in pixels.
        in_chans: input channels.
        embed_dim: width of the transformer.
        depth: number of blocks.
        num_heads: attention heads.
        mlp_ratio: hidden width of the MLPs over the transformer's width.
        out_chans: channels of the output.
        qkv_bias: whether the query, key and value projections have biases.
        norm_layer: builds a normalisation from its width.
        act_layer: activation of the MLPs.
        use_abs_pos: learned absolute positions.
        use_rel_pos: decomposed relative positions in attention.
        rel_pos_zero_init: kept for the published signature; relative positions always start at zero.
        window_size: side of the attention windows in patches; 0 for global attention everywhere.
        global_attn_indexes: blocks with global attention.

    Attributes:
        checkpoint_activations: compute blocks again in the backward pass instead of keeping what they computed.
    """

    def __init__(
        self,
        img_size: int = 1024,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        out_chans: int = 256,
        qkv_bias: bool = True,
        norm_layer: type[nn.Module] | None = None,
        act_layer: type[nn.Module] = nn.GELU,
        use_abs_pos: bool = True,
        use_rel_pos: bool = True,
        rel_pos_zero_init: bool = True,
        window_size: int = 14,
        global_attn_indexes: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del rel_pos_zero_init
        self.img_size = img_size
        self.checkpoint_activations = False
        grid = img_size // patch_size
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, embed_dim)) if use_abs_pos else None
        self.blocks = nn.ModuleList(
            Block(
                dim=embed_dim,
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                norm_layer=norm_layer,
                act_layer=act_layer,
                use_rel_pos=use_rel_pos,
                window_size=0 if index in global_attn_indexes else window_size,
                input_size=(grid, grid),
            )
            for index in range(depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dim, out_chans, kernel_size=1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )

    def ordered_layers(self) -> list[list[nn.Parameter]]:
        """List the parameters of each layer from the pixels upwards: patches and positions, then each block."""
        lowest = list(self.patch_embed.parameters())
        if self.pos_embed is not None:
            lowest.append(self.pos_embed)
        return [lowest, *(list(block.parameters()) for block in self.blocks)]

    def forward(self, x: Tensor, branch_weights: Tensor | None = None) -> Tensor:
        """Encode images.

        Args:
            x: normalised, padded images ``[B, 3, S, S]``.
            branch_weights: ``[B, depth, 2]``, what the attention and the MLP of each block are multiplied by for
                each image: stochastic depth (Huang et al. 2016) gives 0 or ``1 / (1 - rate)``. None for 1.

        Returns:
            ``[B, out_chans, S/16, S/16]``.
        """
        x = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        for index, block in enumerate(self.blocks):
            inputs = (x,) if branch_weights is None else (x, branch_weights[:, index].to(x.dtype))
            if self.checkpoint_activations and torch.is_grad_enabled():
                x = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(*inputs)
        embedding: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return embedding


class PatchEmbed(nn.Module):
    """Cuts images into patches and projects each."""

    def __init__(self, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, 3, H, W]`` to ``[B, H/patch, W/patch, embed_dim]``."""
        patches: Tensor = self.proj(x)
        return patches.permute(0, 2, 3, 1)


class Block(nn.Module):
    """A transformer block; attention runs in windows where ``window_size`` is not 0."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        norm_layer: type[nn.Module] | None = None,
        act_layer: type[nn.Module] = nn.GELU,
        use_rel_pos: bool = False,
        window_size: int = 0,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim) if norm_layer else nn.LayerNorm(dim, eps=1e-6)
        attention_size = input_size if window_size == 0 else (window_size, window_size)
        self.attn = Attention(dim, num_heads, qkv_bias, attention_size if use_rel_pos else None)
        self.norm2 = norm_layer(dim) if norm_layer else nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLPBlock(dim, int(dim * mlp_ratio), act_layer)
        self.window_size = window_size

    def forward(self, x: Tensor, branch_weights: Tensor | None = None) -> Tensor:
        """Refine ``[B, H, W, dim]``; the shape stays.

        ``branch_weights`` ``[B, 2]`` multiplies what attention and MLP add for each image.
        """
        if branch_weights is None and self._works_in_pieces(x):
            return self._refine_in_pieces(x)
        attended = self.norm1(x)
        if self.window_size > 0:
            size = (x.shape[1], x.shape[2])
            windows, padded = window_partition(attended, self.window_size)
            attended = window_unpartition(self.attn(windows), self.window_size, padded, size)
        else:
            attended = self.attn(attended)
        if branch_weights is None:
            x = x + attended
            return x + self.mlp(self.norm2(x))
        attention_weight, mlp_weight = branch_weights[:, :, None, None, None].unbind(1)
        x = x + attention_weight * attended
        return x + mlp_weight * self.mlp(self.norm2(x))

    def _works_in_pieces(self, x: Tensor) -> bool:
        """Whether it is computed on a processor, without gradients, and by plain layers alone."""
        if torch.is_grad_enabled() or is_recorded():
            return False
        layers = (self.attn.qkv, self.attn.proj, self.mlp.lin1, self.mlp.lin2)
        return (
            x.device.type == "cpu"
            and _dtype_of_products(x) in (torch.float32, torch.bfloat16)
            and is_plain(self.attn, Attention)
            and is_plain(self.mlp, MLPBlock)
            and is_plain(self.mlp.act, nn.GELU)
            and self.mlp.act.approximate == "none"
            and all(is_plain(norm, nn.LayerNorm) for norm in (self.norm1, self.norm2))
            and all(is_plain(layer, nn.Linear) and type(layer.weight) is nn.Parameter for layer in layers)
        )

    def _refine_in_pieces(self, x: Tensor) -> Tensor:
        """Compute what ``forward`` does, a piece of an image at a time, so that what is between stays in the cache."""
        keep_freed_blocks()
        dtype = _dtype_of_products(x)
        x = x.clone(memory_format=torch.contiguous_format)
        with torch.autocast("cpu", enabled=False):
            for image in x:
                self._add_attended(image, dtype)
            expand, contract = _in_dtype(self.mlp.lin1, dtype), _in_dtype(self.mlp.lin2, dtype)
            for tokens in x.flatten(0, 2).split(_TOKENS):
                hidden = linear(self.norm2(tokens).to(dtype), *expand, activation="gelu")
                tokens += linear(hidden, *contract)
        return x

    def _add_attended(self, image: Tensor, dtype: torch.dtype) -> None:
        """Add attention among the places of one image ``[H, W, dim]`` to it."""
        attention, window = self.attn, self.window_size
        rows, columns = image.shape[:2]
        weight, bias = attention.scaled_projection(dtype)
        project = _in_dtype(attention.proj, dtype)
        if window > 0:
            tables = attention.scaled_tables(window, window, dtype)
            # Padding is zero after the norm, so that its projection is the bias.
            padding = weight.new_zeros(weight.shape[0]) if bias is None else bias
            for strip in image.split(window):
                projected = linear(self.norm1(strip).to(dtype), weight, bias)
                attended = attend_in_windows(projected, padding, attention.num_heads, window, tables)
                strip += linear(attended, *project)
            return
        tokens = image.flatten(0, 1)
        normed = self.norm1(tokens).to(dtype)
        tables = attention.scaled_tables(rows, columns, dtype)
        attended = attend_globally(normed, weight, bias, attention.num_heads, columns, tables)
        for part, piece in zip(tokens.split(_TOKENS), attended.split(_TOKENS), strict=True):
            part += linear(piece, *project)


def _dtype_of_products(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _in_dtype(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    return layer.weight.to(dtype), None if layer.bias is None else layer.bias.to(dtype)


class Attention(nn.Module):
    """Multi-head attention over a 2-D grid, with decomposed relative positions (Li et al. 2022)."""

    def __init__(
        self, dim: int, num_heads: int = 8, qkv_bias: bool = True, input_size: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the width {dim}")
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.use_rel_pos = input_size is not None
        if input_size is not None:
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * input_size[0] - 1, dim // num_heads))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * input_size[1] - 1, dim // num_heads))

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the positions of ``[B, H, W, dim]``; the shape stays."""
        batch, rows, columns, _ = x.shape
        query, key, value = (
            apply_linear(self.qkv, x)
            .reshape(batch, rows * columns, 3, self.num_heads, -1)
            .permute(2, 0, 3, 1, 4)
            .unbind(0)
        )
        bias = self._relative_positions(query, rows, columns) if self.use_rel_pos else None
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=self.scale)
        return apply_linear(self.proj, attended.transpose(1, 2).reshape(batch, rows, columns, -1))

    def scaled_projection(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Weight ``[3·dim, dim]`` and bias of the projection to scaled queries, keys and values.

        The scale is a factor of the weight, because a query that is scaled after rounding is rounded twice.
        """
        width = self.qkv.in_features
        weight = self.qkv.weight.to(dtype, copy=True)
        weight[:width] = self.qkv.weight[:width] * self.scale
        if self.qkv.bias is None:
            return weight, None
        bias = self.qkv.bias.to(dtype, copy=True)
        bias[:width] = self.qkv.bias[:width] * self.scale
        return weight, bias

    def scaled_tables(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor | None:
        """Relative positions of a grid for scaled queries, as :func:`join_tables` does; None if there are none."""
        if not self.use_rel_pos:
            return None
        tables = join_tables(fit_table(self.rel_pos_h, rows), fit_table(self.rel_pos_w, columns))
        return (tables / self.scale).to(dtype)

    def _relative_positions(self, query: Tensor, rows: int, columns: int) -> Tensor:
        """Bias ``[B, heads, H·W, H·W]`` from the unscaled query and one table each for rows and columns."""
        along_rows = relative_position_table(rows, self.rel_pos_h)
        along_columns = relative_position_table(columns, self.rel_pos_w)
        grid = query.unflatten(2, (rows, columns))
        by_row = torch.einsum("bnhwc,hkc->bnhwk", grid, along_rows)
        by_column = torch.einsum("bnhwc,wkc->bnhwk", grid, along_columns)
        bias = by_row[..., :, None] + by_column[..., None, :]
        return bias.flatten(4).flatten(2, 3).to(query.dtype)


def relative_position_table(size: int, table: Tensor) -> Tensor:
    """Look up ``table`` ``[2·L - 1, c]`` for each pair of ``size`` positions, giving ``[size, size, c]``.

    A table of another length is interpolated linearly.
    """
    table = fit_table(table, size)
    positions = torch.arange(size, device=table.device)
    return table[positions[:, None] - positions[None, :] + size - 1]


def window_partition(x: Tensor, window_size: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut ``[B, H, W, C]`` into windows, zero-padded at the bottom and right.

    Returns:
        Windows ``[B·windows, window_size, window_size, C]`` and the padded (height, width).
    """
    batch, height, width, channels = x.shape
    pad_h, pad_w = -height % window_size, -width % window_size
    if pad_h or pad_w:
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
    padded = (height + pad_h, width + pad_w)
    x = x.reshape(batch, padded[0] // window_size, window_size, padded[1] // window_size, window_size, channels)
    return x.transpose(2, 3).reshape(-1, window_size, window_size, channels), padded


def window_unpartition(windows: Tensor, window_size: int, padded: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Put windows back together and cut the padding off, giving ``[B, *size, C]``."""
    down, across = padded[0] // window_size, padded[1] // window_size
    x = windows.reshape(-1, down, across, window_size, window_size, windows.shape[-1])
    x = x.transpose(2, 3).reshape(-1, *padded, windows.shape[-1])
    return x[:, : size[0], : size[1]]
