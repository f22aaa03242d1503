"""Batch normalisation over the images of all processes, as if one process saw the whole batch.

PyTorch's own ``SyncBatchNorm`` does the same on GPUs and does not run on a processor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F


class _NormaliseTogether(torch.autograd.Function):
    """Normalise ``[B, C, H, W]`` with given statistics, which depend on the ``x`` of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: float, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps = count, eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        x, weight, mean, variance = ctx.saved_tensors
        # As if mean and variance were constants; what follows is their part.
        direct, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([grad_weight, grad_bias])
        distributed.all_reduce(sums)
        scale = weight * (variance + ctx.eps).rsqrt()
        slope = -scale * (variance + ctx.eps).rsqrt() * sums[0] / ctx.count
        offset = -scale * sums[1] / ctx.count - slope * mean
        indirect = torch.addcmul(offset[:, None, None], x.float(), slope[:, None, None])
        return (direct + indirect).to(x.dtype), grad_weight, grad_bias, None, None, None, None


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the images of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[B, C, H, W]``; the shape stays. Every process must call it equally often."""
        if not self.training:
            return super().forward(input)
        running_mean, running_var = self.running_mean, self.running_var
        assert running_mean is not None
        assert running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            # A momentum of 0 leaves the running statistics alone: they only say that the result is float32.
            mean, variance = torch.batch_norm_update_stats(input, running_mean, running_var, 0.0)
            own = torch.cat([mean, variance, mean.new_tensor([input.numel() / len(mean)])])
            every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
            distributed.all_gather(every, own)
            means, variances, counts = torch.stack(every).split([len(mean), len(mean), 1], dim=1)
            count = float(counts.sum())
            mean = (counts * means).sum(0) / count
            variance = (counts * (variances + (means - mean).square())).sum(0) / count
            running_mean.lerp_(mean, self.momentum)
            running_var.lerp_(variance * (count / max(1.0, count - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        normalised: Tensor = _NormaliseTogether.apply(input, self.weight, self.bias, mean, variance, count, self.eps)  # type: ignore[no-untyped-call]
        return normalised


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Replace each ``BatchNorm2d`` inside ``module`` by one over all processes, with the same parameters and keys."""
    for name, child in module.named_children():
        if type(child) is not nn.BatchNorm2d:
            share_batch_norm(child, device)
        elif device.type == "cuda":
            setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
        else:
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.weight, shared.bias = child.weight, child.bias
            shared.running_mean, shared.running_var = child.running_mean, child.running_var
            shared.num_batches_tracked = child.num_batches_tracked
            shared.train(child.training)
            setattr(module, name, shared)
