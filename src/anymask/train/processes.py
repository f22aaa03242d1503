"""Several training processes that share one step, as started by ``torchrun``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


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
        if device.type == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", count))))
        return cls(distributed.get_rank(), count)

    def average_gradients(self, parameters: Sequence[Tensor], stop: bool) -> bool:
        """Average the gradients of all processes, and learn whether one of them was asked to stop.

        Args:
            parameters: the same in every process; a missing gradient counts as zero.
            stop: whether this process was asked to stop.

        Returns:
            Whether any process was, so that all leave after the same step.
        """
        if self.count == 1:
            return stop
        grads = [torch.zeros_like(value) if value.grad is None else value.grad for value in parameters]
        flag = torch.tensor([float(stop)], device=parameters[0].device)
        flat = torch.cat([grad.flatten() for grad in grads] + [flag])
        distributed.all_reduce(flat)
        start = 0
        for value in parameters:
            value.grad = flat[start : start + value.numel()].view_as(value) / self.count
            start += value.numel()
        return bool(flat[-1] > 0)
