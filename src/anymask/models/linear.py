"""Linear layers by the fastest product that the processor has.

PyTorch multiplies float32 matrices with MKL, which on processors that are not Intel's uses half their vector width;
oneDNN, which PyTorch ships as well, uses all of it. Measured where MKL does not know the processor: 0.21 TFLOP/s by
MKL, 0.48 by oneDNN, on two cores. oneDNN also applies the activation while the product is still in the cache.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.tracing import is_recorded

Activation = Literal["none", "relu", "gelu"]
Kind = TypeVar("Kind", bound=nn.Module)


@cache
def _onednn_is_there() -> bool:
    """Try once: the operators are meant for compiled code, and other versions or processors may lack them."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        with torch.inference_mode():
            ones = torch.ones(2, 2)
            product = torch.ops.mkldnn._linear_pointwise(ones, ones, ones[0], "relu", [], "")
            total = torch.ops.mkldnn._linear_pointwise.binary(ones, product, ones, None, "add")
    except (AttributeError, RuntimeError):
        return False
    return bool((total == 5).all())


def _takes_onednn(x: Tensor, weight: Tensor, other: Tensor | None) -> bool:
    if is_recorded():
        return False
    gradients = torch.is_grad_enabled()
    for tensor in (x, weight, other):
        # A subclass, such as a quantised weight, is more than its numbers.
        if tensor is not None and (
            type(tensor) not in (Tensor, nn.Parameter)
            or tensor.dtype != x.dtype
            or tensor.device.type != "cpu"
            or (gradients and tensor.requires_grad)
        ):
            return False
    return (
        x.dtype in (torch.float32, torch.bfloat16)
        and x.ndim > 1
        and x.numel() > 0
        and bool(torch.backends.mkldnn.enabled)
        and _onednn_is_there()
    )


def _dense(matrix: Tensor) -> Tensor:
    """Copy a part of a matrix, for which oneDNN would fall back to loops a thousand times slower."""
    return matrix if matrix.is_contiguous() or (matrix.ndim == 2 and matrix.T.is_contiguous()) else matrix.contiguous()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none") -> Tensor:
    """Multiply with a transposed weight, add a bias, and apply an activation.

    Under autocast all is converted to its type, as by :func:`torch.nn.functional.linear`.

    Args:
        x: ``[..., C]``.
        weight: ``[K, C]``.
        bias: ``[K]``.
        activation: "gelu" is the exact one.

    Returns:
        ``[..., K]``.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if _takes_onednn(x, weight, bias):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, activation, [], "none")
        return product
    product = F.linear(x, weight, bias)
    if activation == "none":
        return product
    return F.gelu(product) if activation == "gelu" else F.relu(product)


def add_linear(summand: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Multiply ``[..., C]`` with a transposed weight ``[K, C]`` and add it to ``summand`` ``[..., K]``, which stays.

    All are of one type. oneDNN rounds the sum alone, PyTorch the product before it.
    """
    if _takes_onednn(x, weight, summand):
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(_dense(x), summand, _dense(weight), None, "add")
        return total
    return summand + F.linear(x, weight)


def is_plain(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether a module computes what its class says: it is no subclass, and nothing is hooked into it."""
    return (
        type(module) is kind
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and "forward" not in vars(module)
    )


def apply_linear(layer: nn.Module, x: Tensor, activation: Activation = "none") -> Tensor:
    """Apply a linear layer, and an activation to what it gives.

    An adapter or a quantised layer in its place computes more than its weight says, and is called as it is.
    """
    if is_plain(layer, nn.Linear):
        return linear(x, layer.weight, layer.bias, activation)
    product: Tensor = layer(x)
    if activation == "none":
        return product
    return F.gelu(product) if activation == "gelu" else F.relu(product)
