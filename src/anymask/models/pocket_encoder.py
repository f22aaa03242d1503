"""The image encoder of ``pocket``: convolutions where the pixels are many, attention where they are few."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.layers import LayerNorm2d, MLPBlock
from anymask.models.linear import apply_linear


class ConvNorm(nn.Sequential):
    """A 3×3 convolution with batch normalisation; ``relu`` ends it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs))
        if relu:
            self.append(nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels, relu=False)
        last_norm = self.second[1]
        assert isinstance(last_norm, nn.BatchNorm2d)
        nn.init.zeros_(last_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``[B, C, H, W]``; the shape stays."""
        return F.relu(x + self.second(self.first(x)))


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend among ``[B, heads, S, c]``; the shape stays."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        # With few channels a head, the fused kernel takes 1.7 times as long as the plain products there.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return scores.softmax(dim=-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


class ContextBlock(nn.Module):
    """A pre-norm transformer block over all positions; a depthwise convolution tells it where they are."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLPBlock(dim, mlp_ratio * dim)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``[B, C, H, W]``; the shape stays."""
        rows, columns = x.shape[-2:]
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        projected = apply_linear(self.qkv, self.norm1(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = _attend(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + apply_linear(self.proj, attended)
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).unflatten(2, (rows, columns))


class PocketEncoder(nn.Module):
    """A small image encoder with SAM's output: 256 channels at a sixteenth of the input's side.

    Residual convolutions work at strides 4 and 8, transformer blocks at stride 16. The stride-4 features reach
    the output past all of it, folded into channels, so that the mask decoder can draw fine borders.

    Args:
        img_size: side of the square input in pixels, a multiple of 16.
        widths: channels at strides 4, 8 and 16.
        depths: blocks at strides 4, 8 and 16.
        heads: attention heads at stride 16.
        mlp_ratio: hidden width of the transformer MLPs over their width.
        out_chans: channels of the output.
    """

    def __init__(
        self,
        img_size: int = 512,
        widths: tuple[int, int, int] = (64, 128, 256),
        depths: tuple[int, int, int] = (2, 4, 5),
        heads: int = 8,
        mlp_ratio: int = 2,
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        fine, middle, coarse = widths
        self.stem = nn.Sequential(ConvNorm(3, fine // 2, stride=2), ConvNorm(fine // 2, fine, stride=2))
        self.fine = nn.Sequential(*(ResidualBlock(fine) for _ in range(depths[0])))
        self.middle = nn.Sequential(
            ConvNorm(fine, middle, stride=2), *(ResidualBlock(middle) for _ in range(depths[1]))
        )
        self.coarse = nn.Sequential(
            ConvNorm(middle, coarse, stride=2, relu=False),
            *(ContextBlock(coarse, heads, mlp_ratio) for _ in range(depths[2])),
        )
        detail = 16
        self.detail = nn.Conv2d(fine, detail, 1)
        self.merge = nn.Conv2d(16 * detail + coarse, out_chans, 1, bias=False)
        self.neck = nn.Sequential(
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )

    def ordered_layers(self) -> list[list[nn.Parameter]]:
        """List the parameters of each layer from the pixels upwards: the stem, then each block."""
        blocks = [self.stem, *self.fine, *self.middle, *self.coarse]
        return [list(block.parameters()) for block in blocks]

    def forward(self, x: Tensor) -> Tensor:
        """Encode normalised images ``[B, 3, H, W]`` (sides multiples of 16) as ``[B, out_chans, H/16, W/16]``."""
        x = x.contiguous(memory_format=torch.channels_last)
        fine = self.fine(self.stem(x))
        coarse = self.coarse(self.middle(fine))
        detail = F.pixel_unshuffle(self.detail(fine), 4)
        embedding: Tensor = self.neck(self.merge(torch.cat([coarse, detail], dim=1)))
        return embedding
