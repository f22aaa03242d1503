"""MobileSAM's image encoder: TinyViT, convolutions first and windowed attention after (Zhang et al. 2023).

TinyViT is Wu et al. 2022, arXiv 2207.10666; MobileSAM, arXiv 2306.14289, keeps its last stage at stride 16 and puts
SAM's neck behind it. The keys are those of the published checkpoint, its unused classifier included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.image_encoder import window_partition, window_unpartition
from anymask.models.layers import LayerNorm2d
from anymask.models.linear import apply_linear


class ConvNorm(nn.Module):
    """A convolution without bias and a batch normalisation, which is folded into it outside training."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H/stride, W/stride]``."""
        # An adapter in the place of the convolution computes more than its weight says.
        if self.training or type(self.c) is not nn.Conv2d:
            normalised: Tensor = self.bn(self.c(x))
            return normalised
        mean, variance = self.bn.running_mean, self.bn.running_var
        assert mean is not None
        assert variance is not None
        factor = self.bn.weight * (variance + self.bn.eps).rsqrt()
        weight = self.c.weight * factor[:, None, None, None]
        bias = self.bn.bias - mean * factor
        return F.conv2d(x, weight, bias, self.c.stride, self.c.padding, groups=self.c.groups)


class PatchEmbed(nn.Module):
    """Two strided convolutions: images at a quarter of their side."""

    def __init__(self, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(in_chans, embed_dim // 2, kernel=3, stride=2),
            nn.GELU(),
            ConvNorm(embed_dim // 2, embed_dim, kernel=3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in_chans, H, W]`` to ``[B, embed_dim, H/4, W/4]``."""
        embedded: Tensor = self.seq(x)
        return embedded


class MBConv(nn.Module):
    """An inverted residual block, with an activation after the shortcut too."""

    def __init__(self, channels: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = channels * expand_ratio
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)
        nn.init.zeros_(self.conv3.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``[B, channels, H, W]``; the shape stays."""
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class PatchMerging(nn.Module):
    """The step to the next stage's width, at half the side or at the same."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, kernel=3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H/stride, W/stride]``."""
        merged: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return merged


class Attention(nn.Module):
    """Multi-head attention within a window, normalised at its entrance, with a learned bias for each offset.

    Args:
        dim: width.
        num_heads: attention heads.
        window_size: side of the window.
    """

    offsets: Tensor

    def __init__(self, dim: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the width {dim}")
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window_size**2))
        places = torch.arange(window_size**2)
        rows, columns = places // window_size, places % window_size
        offsets = (rows[:, None] - rows).abs() * window_size + (columns[:, None] - columns).abs()
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of ``[windows, size, size, dim]``; the shape stays."""
        # Each head has its query, key and value side by side.
        heads = apply_linear(self.qkv, self.norm(x)).flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        query, key, value = heads.chunk(3, dim=-1)
        bias = self.attention_biases[:, self.offsets].to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        return apply_linear(self.proj, attended.transpose(1, 2).reshape(x.shape))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, normalised at their entrance."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., dim]`` to ``[..., dim]``."""
        return apply_linear(self.fc2, apply_linear(self.fc1, self.norm(x), "gelu"))


class TinyViTBlock(nn.Module):
    """Windowed attention, a depthwise convolution across the windows' borders, and an MLP."""

    def __init__(self, dim: int, num_heads: int, window_size: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn = Attention(dim, num_heads, window_size)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.local_conv = ConvNorm(dim, dim, kernel=3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``[B, dim, H, W]``; the shape stays."""
        x = x.permute(0, 2, 3, 1)
        # The zeros around the map are normalised with the rest, and attended to.
        windows, padded = window_partition(x, self.window_size)
        attended = window_unpartition(self.attn(windows), self.window_size, padded, (x.shape[1], x.shape[2]))
        x = self.local_conv((x + attended).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (x + self.mlp(x)).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks of one width, and the step to the next."""

    def __init__(self, blocks: list[nn.Module], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the next stage's width and size."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """TinyViT with SAM's output: 256 channels at a sixteenth of the input's side.

    The default sizes are those of MobileSAM. Windows have a fixed side, so that any input works whose sides are
    multiples of 16.

    Args:
        img_size: side of the square input in pixels, a multiple of 16.
        in_chans: input channels.
        num_classes: width of the classifier that the published checkpoint holds and nothing uses.
        embed_dims: widths of the four stages.
        depths: blocks of each stage.
        num_heads: attention heads of each stage; the first has no attention.
        window_sizes: side of each stage's attention windows; the first has none.
        mlp_ratio: hidden width of the MLPs over the width.
        mbconv_expand_ratio: hidden width of the first stage's blocks over the width.
        out_chans: channels of the output.
    """

    def __init__(
        self,
        img_size: int = 1024,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dims: tuple[int, int, int, int] = (64, 128, 160, 320),
        depths: tuple[int, int, int, int] = (2, 2, 6, 2),
        num_heads: tuple[int, int, int, int] = (2, 4, 5, 10),
        window_sizes: tuple[int, int, int, int] = (7, 7, 14, 7),
        mlp_ratio: float = 4.0,
        mbconv_expand_ratio: int = 4,
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        self.patch_embed = PatchEmbed(in_chans, embed_dims[0])
        # Sides after the patches: a quarter, an eighth, and twice a sixteenth.
        strides = (2, 2, 1)
        self.layers = nn.ModuleList(
            Stage(
                [
                    TinyViTBlock(dim, num_heads[index], window_sizes[index], mlp_ratio)
                    if index
                    else MBConv(dim, mbconv_expand_ratio)
                    for _ in range(depths[index])
                ],
                PatchMerging(dim, embed_dims[index + 1], strides[index]) if index < 3 else None,
            )
            for index, dim in enumerate(embed_dims)
        )
        self.norm_head = nn.LayerNorm(embed_dims[-1])
        self.head = nn.Linear(embed_dims[-1], num_classes)
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dims[-1], out_chans, kernel_size=1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def ordered_layers(self) -> list[list[nn.Parameter]]:
        """List the parameters of each layer from the pixels upwards: patches, then each block.

        The step to the next stage counts with the block before it.
        """
        layers = [list(self.patch_embed.parameters())]
        for stage in self.layers:
            assert isinstance(stage, Stage)
            layers += [list(block.parameters()) for block in stage.blocks]
            if stage.downsample is not None:
                layers[-1] += stage.downsample.parameters()
        return layers

    def forward(self, x: Tensor) -> Tensor:
        """Encode normalised images ``[B, 3, H, W]`` (sides multiples of 16) as ``[B, out_chans, H/16, W/16]``."""
        x = self.patch_embed(x.contiguous(memory_format=torch.channels_last))
        for stage in self.layers:
            x = stage(x)
        embedding: Tensor = self.neck(x)
        return embedding
