"""Low-rank adapters (LoRA, Hu et al. 2021) that are part of the plain weights all the time.

The usual adapter puts a module of another class in the place of a linear layer, and is merged at the end. Here the
layer stays what it is: its weight always holds ``base + scale · up @ down``. The backward pass leaves the gradient of
the weight, from which those of the two factors follow by the chain rule; after each optimiser step the weight is
written anew. That computes the same as the usual adapter, keeps the fast paths that read weights directly, and leaves
nothing to merge. What it does not save is the memory of the adapted weights' gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

ATTENTION_PROJECTIONS = ("qkv", "proj", "q_proj", "k_proj", "v_proj", "out_proj")
"""Names of the linear layers in attention, in all our networks."""


def attention_weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """Find the weights of the attention projections in a network, by their names."""
    found: dict[str, nn.Parameter] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and name.rpartition(".")[2] in ATTENTION_PROJECTIONS:
            found[f"{name}.weight"] = layer.get_parameter("weight")
    return found


class LowRankAdapters(nn.Module):
    """Adapters of rank ``rank`` on matrices.

    Call :meth:`take_gradients` after the backward pass and :meth:`write` after the optimiser's step, which is given
    ``parameters()`` of this module and not the weights.

    Args:
        weights: the matrices ``[out, in]`` by name; they are written to.
        rank: of the change of each.
        scale: factor on it.
        generator: draws the first values of the ``down`` factors; the ``up`` factors begin at zero, so that at first
            nothing changes.
    """

    def __init__(
        self, weights: Mapping[str, nn.Parameter], rank: int, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.weights, self.scale = dict(weights), scale
        self.base = {name: weight.detach().clone() for name, weight in weights.items()}
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for name, weight in weights.items():
            outputs, inputs = weight.shape
            drawn = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
            key = _key(name)
            self.down[key] = nn.Parameter(drawn.to(weight))
            self.up[key] = nn.Parameter(torch.zeros(outputs, rank).to(weight))

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Turn the gradients of the weights into those of the factors, and clear them."""
        for name, weight in self.weights.items():
            if weight.grad is None:
                continue
            down, up = self.down[_key(name)], self.up[_key(name)]
            up.grad = self.scale * (weight.grad @ down.T)
            down.grad = self.scale * (up.T @ weight.grad)
            weight.grad = None

    @torch.no_grad()
    def write(self) -> None:
        """Write ``base + scale · up @ down`` into the weights."""
        for name, weight in self.weights.items():
            change: Tensor = self.up[_key(name)] @ self.down[_key(name)]
            weight.copy_(self.base[name] + self.scale * change)


def _key(name: str) -> str:
    # Names of parameters in a dictionary may not hold dots.
    return name.replace(".", "/")
