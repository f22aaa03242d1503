"""What a phase trains, and at which rate: the optimiser's parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from anymask.train.config import ConfigError, PhaseConfig
from anymask.train.dense import DenseObjective

_Parameter = TypeVar("_Parameter", bound=torch.Tensor)

# What the dense objective uses beside the image encoder.
_DENSE_PARTS = ("place.", "query.", "mask_decoder.output_upscaling.", "mask_decoder.output_hypernetworks_mlps.")


@runtime_checkable
class LayeredEncoder(Protocol):
    """An image encoder that can tell its layers apart."""

    def ordered_layers(self) -> list[list[nn.Parameter]]:
        """List the parameters of each layer from the pixels upwards; those of the neck are in none."""
        ...


def _layer_factors(encoder: nn.Module, decay: float) -> dict[int, float]:
    """Give the rate factor of each encoder parameter, by its identity (Bao et al. 2021, as ViTDet uses it).

    The neck has 1, the uppermost layer ``decay``, each one below ``decay`` times the factor of the one above.
    """
    factors = {id(parameter): 1.0 for parameter in encoder.parameters()}
    if decay == 1:
        return factors
    if not isinstance(encoder, LayeredEncoder):
        raise ConfigError(
            f"layer_decay needs an encoder that names its layers; {type(encoder).__name__} does not: use 1.0"
        )
    layers = encoder.ordered_layers()
    for number, layer in enumerate(layers):
        for parameter in layer:
            factors[id(parameter)] = decay ** (len(layers) - number)
    return factors


def split_decayed(parameters: Iterable[_Parameter]) -> tuple[list[_Parameter], list[_Parameter]]:
    """Tell those to which weight decay applies from those to which it does not: norms, biases, positions and tokens."""
    decayed: list[_Parameter] = []
    others: list[_Parameter] = []
    for parameter in parameters:
        (decayed if parameter.ndim > 1 and parameter.shape[0] > 4 else others).append(parameter)
    return decayed, others


def parameter_groups(encoder: nn.Module, dense: DenseObjective, phase: PhaseConfig) -> list[dict[str, Any]]:
    """Group what ``phase`` trains for AdamW.

    Args:
        encoder: the image encoder.
        dense: holds the prompt encoder and the mask decoder, and the dense objective's own heads.
        phase: says what is frozen and how rates differ.

    Returns:
        Groups with ``params``, ``weight_decay`` and ``factor``, by which the rate of the group differs from the
        phase's.

    Raises:
        ConfigError: layers are to learn at different rates, but the encoder does not name its layers.
    """
    factors = _layer_factors(encoder, phase.layer_decay)
    frozen = tuple(f"{part}." for part in phase.frozen)

    def heads() -> Iterable[nn.Parameter]:
        for name, parameter in dense.named_parameters():
            used = phase.objective != "dense" or name.startswith(_DENSE_PARTS)
            if used and not name.startswith(frozen):
                yield parameter

    groups = []
    chosen = [] if "image_encoder" in phase.frozen else list(encoder.parameters())
    for parameters, rate in ((chosen, phase.encoder_rate), (list(heads()), 1.0)):
        for some, decay in zip(split_decayed(parameters), (phase.weight_decay, 0.0), strict=True):
            by_factor: dict[float, list[nn.Parameter]] = {}
            for parameter in some:
                by_factor.setdefault(rate * factors.get(id(parameter), 1.0), []).append(parameter)
            groups += [
                {"params": members, "weight_decay": decay, "factor": factor} for factor, members in by_factor.items()
            ]
    return groups


def build_optimizer(encoder: nn.Module, dense: DenseObjective, phase: PhaseConfig) -> torch.optim.Optimizer:
    """Build the AdamW of ``phase``; see :func:`parameter_groups`."""
    groups = parameter_groups(encoder, dense, phase)
    return torch.optim.AdamW(groups, lr=phase.learning_rate, betas=phase.betas)
