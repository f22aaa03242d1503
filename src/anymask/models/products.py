"""Matrix products with a transposed side whose gradients lie in memory as what they are gradients of.

Autograd gives the gradient of the transposed matrix and transposes that. The image tokens are most of the memory
traffic of the mask decoder, and adding up their gradients took a fifth of its time in training while half of them lay
transposed. Without gradients the plain products run, which exporters know.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _TimesTransposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first, second)
        return first @ second.mT

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grad_outputs
        first, second = ctx.saved_tensors
        needs_first, needs_second = ctx.needs_input_grad
        return grad @ second if needs_first else None, grad.mT @ first if needs_second else None


class _TransposedTimes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first, second)
        return first.mT @ second

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grad_outputs
        first, second = ctx.saved_tensors
        needs_first, needs_second = ctx.needs_input_grad
        return second @ grad.mT if needs_first else None, first @ grad if needs_second else None


def _in_one_type(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Convert as autocast does for a product: it does not look into functions with gradients of their own."""
    device = first.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        return first.to(dtype), second.to(dtype)
    return first, second


def _plain(first: Tensor, second: Tensor) -> bool:
    return not torch.is_grad_enabled() or not (first.requires_grad or second.requires_grad)


def times_transposed(first: Tensor, second: Tensor) -> Tensor:
    """Multiply ``[..., R, C]`` with the transpose of ``[..., S, C]``, giving ``[..., R, S]``."""
    if _plain(first, second):
        return first @ second.transpose(-1, -2)
    product: Tensor = _TimesTransposed.apply(*_in_one_type(first, second))  # type: ignore[no-untyped-call]
    return product


def transposed_times(first: Tensor, second: Tensor) -> Tensor:
    """Multiply the transpose of ``[..., R, S]`` with ``[..., R, C]``, giving ``[..., S, C]``."""
    if _plain(first, second):
        return first.transpose(-1, -2) @ second
    product: Tensor = _TransposedTimes.apply(*_in_one_type(first, second))  # type: ignore[no-untyped-call]
    return product
