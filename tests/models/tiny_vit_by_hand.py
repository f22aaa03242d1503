"""MobileSAM's image encoder a second time: plain functions over a state dict, one window and one head after another."""

import math

import torch
from torch import Tensor

BATCH_NORM_EPS = LAYER_NORM_EPS = 1e-5
NECK_EPS = 1e-6


def convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Cross-correlate [B, C, H, W], zero-padded, with [O, C, k, k], or channel by channel with [C, 1, k, k]."""
    kernel = weight.shape[-1]
    border = kernel // 2
    batch, channels, height, width = x.shape
    padded = x.new_zeros(batch, channels, height + 2 * border, width + 2 * border)
    padded[:, :, border : border + height, border : border + width] = x
    total = None
    for row in range(kernel):
        for column in range(kernel):
            shifted = padded[:, :, row : row + height : stride, column : column + width : stride]
            if weight.shape[1] == channels:
                part = torch.einsum("oc,bchw->bohw", weight[:, :, row, column], shifted)
            else:
                part = weight[None, :, 0, row, column, None, None] * shifted
            total = part if total is None else total + part
    return total


def convolve_and_norm(x: Tensor, state: dict[str, Tensor], name: str, stride: int = 1) -> Tensor:
    x = convolve(x, state[f"{name}.c.weight"], stride)
    mean, variance, scale, shift = (
        state[f"{name}.bn.{part}"].reshape(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + BATCH_NORM_EPS).sqrt() * scale + shift


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def layer_norm(x: Tensor, state: dict[str, Tensor], name: str, eps: float = LAYER_NORM_EPS) -> Tensor:
    """Normalise the last axis."""
    centred = x - x.mean(-1, keepdim=True)
    deviation = ((centred**2).mean(-1, keepdim=True) + eps).sqrt()
    return centred / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def attend(window: Tensor, state: dict[str, Tensor], name: str, heads: int, side: int) -> Tensor:
    """Attend within one window of [side * side, C]."""
    places = [(row, column) for row in range(side) for column in range(side)]
    numbers: dict[tuple[int, int], int] = {}
    # Offsets are numbered in the order in which the pairs of places show them.
    for row, column in places:
        for other_row, other_column in places:
            numbers.setdefault((abs(row - other_row), abs(column - other_column)), len(numbers))
    table = [[numbers[abs(a - c), abs(b - d)] for c, d in places] for a, b in places]
    projected = linear(layer_norm(window, state, f"{name}.norm"), state, f"{name}.qkv")
    width = window.shape[1] // heads
    answers = []
    for head in range(heads):
        own = projected[:, 3 * width * head : 3 * width * (head + 1)]
        query, key, value = own[:, :width], own[:, width : 2 * width], own[:, 2 * width :]
        scores = query @ key.T / math.sqrt(width) + state[f"{name}.attention_biases"][head][torch.tensor(table)]
        shares = (scores - scores.max(1, keepdim=True).values).exp()
        answers.append(shares / shares.sum(1, keepdim=True) @ value)
    return linear(torch.cat(answers, 1), state, f"{name}.proj")


def transformer_block(x: Tensor, state: dict[str, Tensor], name: str, heads: int, side: int) -> Tensor:
    """Refine [B, H, W, C]."""
    batch, height, width, channels = x.shape
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    padded = x.new_zeros(batch, rows * side, columns * side, channels)
    padded[:, :height, :width] = x
    attended = torch.zeros_like(padded)
    for image in range(batch):
        for top in range(0, rows * side, side):
            for left in range(0, columns * side, side):
                window = padded[image, top : top + side, left : left + side].reshape(side * side, channels)
                answer = attend(window, state, f"{name}.attn", heads, side).reshape(side, side, channels)
                attended[image, top : top + side, left : left + side] = answer
    x = x + attended[:, :height, :width]
    x = convolve_and_norm(x.permute(0, 3, 1, 2), state, f"{name}.local_conv").permute(0, 2, 3, 1)
    hidden = gelu(linear(layer_norm(x, state, f"{name}.mlp.norm"), state, f"{name}.mlp.fc1"))
    return x + linear(hidden, state, f"{name}.mlp.fc2")


def tiny_vit_by_hand(
    state: dict[str, Tensor],
    images: Tensor,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    windows: tuple[int, ...],
) -> Tensor:
    """Encode normalised images [B, 3, S, S] as [B, 256, S / 16, S / 16]."""
    x = gelu(convolve_and_norm(images, state, "patch_embed.seq.0", stride=2))
    x = convolve_and_norm(x, state, "patch_embed.seq.2", stride=2)
    for stage in range(4):
        for block in range(depths[stage]):
            name = f"layers.{stage}.blocks.{block}"
            if stage == 0:
                y = gelu(convolve_and_norm(x, state, f"{name}.conv1"))
                y = gelu(convolve_and_norm(y, state, f"{name}.conv2"))
                x = gelu(x + convolve_and_norm(y, state, f"{name}.conv3"))
            else:
                tokens = x.permute(0, 2, 3, 1)
                tokens = transformer_block(tokens, state, name, heads[stage], windows[stage])
                x = tokens.permute(0, 3, 1, 2)
        if stage < 3:
            name = f"layers.{stage}.downsample"
            x = gelu(convolve_and_norm(x, state, f"{name}.conv1"))
            x = gelu(convolve_and_norm(x, state, f"{name}.conv2", stride=1 if stage == 2 else 2))
            x = convolve_and_norm(x, state, f"{name}.conv3")
    for number in (0, 2):
        x = convolve(x, state[f"neck.{number}.weight"], stride=1).permute(0, 2, 3, 1)
        x = layer_norm(x, state, f"neck.{number + 1}", NECK_EPS).permute(0, 3, 1, 2)
    return x
