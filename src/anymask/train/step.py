"""One batch forwards and backwards; every random choice belongs to an image's place in the batch.

So it matters neither which process runs an image nor in which part of a batch it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.sam import Sam
from anymask.train.batches import Batch
from anymask.train.config import ConfigError, PhaseConfig
from anymask.train.dense import DenseObjective
from anymask.train.interactive import interactive_loss

FIGURES = ("loss", "first_iou", "box_iou", "last_iou", "iou_error")
"""What a step reports of each image; nan where it says nothing."""


# Random choices of one purpose do not depend on whether there are others.
_CLICKS, _BRANCHES, _DENSE_CLICKS = range(3)


def seeded_generator(*key: int) -> torch.Generator:
    """Make a generator whose numbers depend on ``key`` alone (not negative), on every machine the same."""
    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed))


def draw_branch_weights(depth: int, rate: float, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw which branches of a vision transformer are left out (Huang et al. 2016).

    Args:
        depth: blocks.
        rate: chance that the last block's branches are left out; it grows linearly from 0 in the first.
        generators: one for each image.

    Returns:
        ``[B, depth, 2]`` for :class:`ImageEncoderViT`: 0, or what keeps the mean.
    """
    keep = 1 - torch.linspace(0, rate, depth)[:, None]
    drawn = torch.stack([torch.rand(depth, 2, generator=generator) for generator in generators])
    return (drawn < keep).float() / keep


def check_encoder(encoder: torch.nn.Module, phases: Sequence[PhaseConfig]) -> None:
    """Check that ``encoder`` can do what the phases ask for.

    Raises:
        ConfigError: it cannot.
    """
    if isinstance(encoder, ImageEncoderViT):
        sides = sorted({phase.image_size for phase in phases})
        if len(sides) > 1:
            raise ConfigError(
                f"image_size must be the same in all phases for this model, whose positions are learned for one side, "
                f"not {' and '.join(map(str, sides))}"
            )
        return
    for i, phase in enumerate(phases):
        for name, given in (
            ("drop_path", phase.drop_path > 0),
            ("checkpoint_activations", phase.checkpoint_activations),
        ):
            if given:
                raise ConfigError(
                    f"phases[{i}].{name} needs SAM's vision transformer (vit_b, vit_l, vit_h), "
                    f"not {type(encoder).__name__}: leave it out"
                )


@dataclass(frozen=True)
class TrainingStep:
    """Runs the batches of one phase.

    Attributes:
        model: what is trained.
        dense: the dense objective on its prompt encoder and mask decoder.
        phase: what to do.
        seed: the seed of the run, and the number of the phase.
        device: where to compute.
        precision: of the products.
    """

    model: Sam
    dense: DenseObjective
    phase: PhaseConfig
    seed: tuple[int, int]
    device: torch.device
    precision: torch.dtype

    def prepare(self) -> None:
        """Set the model up for the phase: what is trained, and the side of the views."""
        self.model.zero_grad(set_to_none=True)
        for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
            getattr(self.model, part).requires_grad_(part not in self.phase.frozen)
        self.model.image_encoder.train("image_encoder" not in self.phase.frozen)
        if isinstance(self.model.image_encoder, ImageEncoderViT):
            self.model.image_encoder.checkpoint_activations = self.phase.checkpoint_activations
        side = self.phase.image_size
        # The prompt encoder counts in views of another side; no weight depends on it.
        encoder = self.model.prompt_encoder
        encoder.input_image_size = (side, side)
        encoder.image_embedding_size = (side // 16, side // 16)
        encoder.mask_input_size = (side // 4, side // 4)

    def _generators(self, step: int, positions: Sequence[int], purpose: int) -> list[torch.Generator]:
        return [seeded_generator(*self.seed, step, position, purpose) for position in positions]

    def _encode(self, images: Tensor, step: int, positions: Sequence[int]) -> Tensor:
        encoder = self.model.image_encoder
        with torch.set_grad_enabled("image_encoder" not in self.phase.frozen):
            if isinstance(encoder, ImageEncoderViT) and self.phase.drop_path > 0 and encoder.training:
                generators = self._generators(step, positions, _BRANCHES)
                weights = draw_branch_weights(len(encoder.blocks), self.phase.drop_path, generators)
                embedding: Tensor = encoder(images, weights.to(images.device))
            else:
                embedding = encoder(images)
        return embedding

    def backward(self, batch: Batch, step: int) -> Tensor:
        """Run one batch forwards and backwards; gradients collect in the parameters.

        Every image weighs one over the batch size of all processes, so that gradients only have to be summed.

        Args:
            batch: the images, targets and boxes.
            step: number of the step within the phase.

        Returns:
            What is reported of each image, ``[B, len(FIGURES)]``.
        """
        phase = self.phase
        images = batch.images.to(self.device, non_blocking=True)
        targets = [target.to(self.device, non_blocking=True) for target in batch.targets]
        clicks = self._generators(step, batch.positions, _CLICKS)
        dense_clicks = self._generators(step, batch.positions, _DENSE_CLICKS)
        share = 1 / phase.batch_size
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            embedding = self._encode(images, step, batch.positions)
            if phase.objective == "dense":
                losses, ious = self.dense(embedding, targets, dense_clicks)
                figures: Tensor = losses.new_full((len(losses), len(FIGURES)), float("nan"))
                figures[:, 0], figures[:, 1] = losses.detach(), ious
                total = losses.sum() * share
            else:
                leaf = embedding.detach().requires_grad_(embedding.requires_grad)
                if phase.dense_weight > 0:
                    dense_losses, _ = self.dense(leaf, targets, dense_clicks)
                    torch.autograd.backward(dense_losses.sum() * (phase.dense_weight * share))
                reports = [
                    interactive_loss(
                        leaf[i : i + 1],
                        targets[i],
                        batch.boxes[i].to(self.device),
                        self.model.prompt_encoder,
                        self.model.mask_decoder,
                        phase.interaction,
                        clicks[i],
                        weight=share,
                    )
                    for i in range(len(targets))
                ]
                figures = torch.stack([torch.stack([report[key] for key in FIGURES]) for report in reports])
        if phase.objective == "dense":
            torch.autograd.backward(total)
        elif embedding.requires_grad:
            torch.autograd.backward(embedding, leaf.grad)
        return figures
