"""Tiny training runs, one after the other in the same processes: torchrun ... tiny_run.py FOLDER JOBS.

Each process writes what it averaged to FOLDER; JOBS is a JSON list of the arguments of ``train``.
"""

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.sam import Sam
from anymask.models.transformer import TwoWayTransformer
from anymask.train import loop
from anymask.train.batches import Batch
from anymask.train.config import DataConfig, PhaseConfig, TrainConfig
from anymask.train.interactive import InteractiveSettings
from anymask.train.processes import Processes


def build(kind: str, side: int) -> Sam:
    if kind == "vit":
        encoder: torch.nn.Module = ImageEncoderViT(
            side, embed_dim=24, depth=2, num_heads=2, out_chans=32, window_size=3, global_attn_indexes=(1,)
        )
    else:
        encoder = PocketEncoder(side, widths=(8, 16, 32), depths=(1, 1, 1), heads=2, out_chans=32)
    grid = (side // 16, side // 16)
    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(32, grid, (side, side), mask_in_chans=8),
        mask_decoder=MaskDecoder(
            transformer_dim=32,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64),
            iou_head_hidden_dim=32,
        ),
    )


def configuration(output: str, **changes: Any) -> TrainConfig:
    """Six steps of three images on drawn scenes; ``changes`` are keys of the only phase."""
    settings = InteractiveSettings(points=2, mask_only=1)
    phase = PhaseConfig("interactive", 6, 64, 3, 2, learning_rate=1e-3, warmup=2, interaction=settings)
    return TrainConfig(
        output=output,
        data=(DataConfig("synthetic", size=64),),
        phases=(dataclasses.replace(phase, **changes),),
        device="cpu",
        precision="float32",
        ema=0.5,
        log_every=1,
        checkpoint_every=2,
    )


def train(kind: str, output: str, changes: dict[str, Any], dies_at: int = -1) -> None:
    """Train; process 1 kills itself at the step ``dies_at`` (from 0)."""
    loop.build_model = lambda _name, side: build(kind, side)  # type: ignore[assignment]
    trainer = loop.Trainer(configuration(output, **changes))
    run = loop.TrainingStep.backward

    def backward(self: loop.TrainingStep, batch: Batch, step: int) -> torch.Tensor:
        if trainer.processes.rank == 1 and step == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(self, batch, step)

    loop.TrainingStep.backward = backward  # type: ignore[method-assign]
    trainer.train()
    loop.TrainingStep.backward = run  # type: ignore[method-assign]


def average() -> dict[str, Any]:
    """Average gradients of which process 0 has fewer, and stop because process 1 was asked to."""
    processes = Processes.join(torch.device("cpu"))
    seen, some, unused = (torch.zeros(shape, requires_grad=True) for shape in ((3,), (2, 2), (1,)))
    seen.grad = torch.tensor([1.0, 2.0, 3.0]) * (processes.rank + 1)
    if processes.rank == 1:
        some.grad = torch.full((2, 2), 4.0)
    first = processes.average_gradients([seen, some, unused], stop=False)
    averaged = [None if value.grad is None else value.grad.tolist() for value in (seen, some, unused)]
    second = processes.average_gradients([seen], stop=processes.rank == 1)
    return {"count": processes.count, "averaged": averaged, "stops": [first, second]}


if __name__ == "__main__":
    folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    facts = average()
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(facts))
    for job in jobs:
        train(**job)
