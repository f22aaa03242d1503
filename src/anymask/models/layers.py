"""Layers that several network parts share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.linear import Activation, apply_linear, is_plain


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a ``[B, C, H, W]`` map, each position on its own."""

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` of ``[B, C, H, W]``; the shape stays."""
        channels_last = x.permute(0, 2, 3, 1)
        normalised = F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


class MLPBlock(nn.Module):
    """Two linear layers with an activation between them; the key names are SAM's."""

    def __init__(self, embedding_dim: int, mlp_dim: int, act: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(embedding_dim, mlp_dim)
        self.lin2 = nn.Linear(mlp_dim, embedding_dim)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., embedding_dim]`` to ``[..., embedding_dim]``."""
        activation = _name_activation(self.act)
        hidden = self.act(self.lin1(x)) if activation is None else apply_linear(self.lin1, x, activation)
        return apply_linear(self.lin2, hidden)


def _name_activation(act: nn.Module) -> Activation | None:
    """Name an activation that a linear layer can apply itself; None for others."""
    if is_plain(act, nn.ReLU):
        return "relu"
    return "gelu" if is_plain(act, nn.GELU) and act.approximate == "none" else None
