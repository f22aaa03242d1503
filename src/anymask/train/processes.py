"""Several training processes that share one step, as started by ``torchrun``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from anymask.errors import AnymaskError

# How the messages of gloo, which has no exception of its own, say that another process is gone.
_LOST = ("gloo", "connection closed", "connection reset", "timed out waiting", "broken pipe")

# Numbers in one exchange: large enough to be quick, small beside the gradients of a large model.
_BUCKET = 2**23


class ProcessLostError(AnymaskError, RuntimeError):
    """Another process of the run ended or cannot be reached."""


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for value in parameters:
        if bucket and size + value.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(value)
        size += value.numel()
    if bucket:
        yield bucket


@dataclass(frozen=True)
class Processes:
    """This process among those of one run.

    Attributes:
        rank: its number, from 0; process 0 alone writes files.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Join the run that ``torchrun`` started, or be alone.

        On a processor each process takes its share of the cores: small tensors gain more from two processes with
        one thread each than from one process with two.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            # Threads of the group that outlive the interpreter abort the process after its work is done.
            atexit.register(_leave)
        if device.type == "cuda" and device.index is None:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if device.type == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", count))))
        return cls(distributed.get_rank(), count)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Sum the gradients of all processes.

        A gradient that no process has stays missing, so that the optimiser leaves the parameter alone as it does
        in one process; one that only some have counts as zero in the others.

        Args:
            parameters: the same in every process.
        """
        if self.count == 1:
            return
        for bucket in _buckets(parameters):
            present = [float(value.grad is not None) for value in bucket]
            grads = [torch.zeros_like(value) if value.grad is None else value.grad for value in bucket]
            flat = torch.cat([*(grad.flatten() for grad in grads), grads[0].new_tensor(present)])
            distributed.all_reduce(flat)
            *summed, seen = flat.split([*(value.numel() for value in bucket), len(bucket)])
            for value, grad, total, holders in zip(bucket, grads, summed, seen.tolist(), strict=True):
                value.grad = grad.copy_(total.view_as(grad)) if holders else None

    def average_gradients(self, parameters: Sequence[Tensor], stop: bool) -> bool:
        """Average the gradients of all processes, and learn whether one of them was asked to stop.

        Args:
            parameters: the same in every process; see :meth:`sum_gradients`.
            stop: whether this process was asked to stop.

        Returns:
            Whether any process was, so that all leave after the same step.
        """
        if self.count == 1:
            return stop
        self.sum_gradients(parameters)
        for value in parameters:
            if value.grad is not None:
                value.grad /= self.count
        return bool(self.sum_figures(torch.tensor([float(stop)])) > 0)

    @staticmethod
    def _exchangeable(figures: Tensor) -> Tensor:
        return figures.detach().clone().to("cuda" if distributed.get_backend() == "nccl" else "cpu")

    def sum_figures(self, figures: Tensor) -> Tensor:
        """Sum a small tensor over all processes."""
        if self.count == 1:
            return figures
        summed = self._exchangeable(figures)
        distributed.all_reduce(summed)
        return summed

    def gather(self, figures: Tensor) -> Tensor:
        """Stack a small tensor of every process: ``[count, *shape]``."""
        if self.count == 1:
            return figures[None]
        own = self._exchangeable(figures)
        every = [torch.empty_like(own) for _ in range(self.count)]
        distributed.all_gather(every, own)
        return torch.stack(every)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Say what happened where an exchange with another process breaks off.

        Raises:
            ProcessLostError: in the place of what ``torch.distributed`` raises.
        """
        try:
            yield
        except RuntimeError as error:
            lost = isinstance(error, distributed.DistBackendError) or any(word in str(error).lower() for word in _LOST)
            if self.count == 1 or isinstance(error, AnymaskError) or not lost:
                raise
            raise ProcessLostError(
                f"process {self.rank} of {self.count} lost another one, which ended or cannot be reached: see its own "
                f"message. The same command carries on from the last checkpoint ({str(error).splitlines()[0]})"
            ) from error
