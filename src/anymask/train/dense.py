"""A cheap first objective for the image encoder: every pixel of an object should know its object.

The mask decoder costs more than a small encoder and, from random weights, stays at "all is background" for
long. Here a click is answered without the two-way transformer: the embedding under the click goes straight
through the decoder's own hypernetworks and is multiplied with the upscaled embedding, which is computed once
an image. It trains the encoder, the upscaling and the hypernetworks, and the whole decoder starts from there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.train.interaction import sample_cells
from anymask.train.losses import mask_iou, mask_loss


class DenseObjective(nn.Module):
    """Masks from the embedding under a click.

    Args:
        prompt_encoder: gives the position encoding.
        mask_decoder: gives the upscaling and the hypernetworks.
        clicks: clicks for each mask.
    """

    def __init__(self, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder, clicks: int = 3) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder, self.clicks = prompt_encoder, mask_decoder, clicks
        width = mask_decoder.transformer_dim
        self.place = nn.Linear(width, width)
        self.query = nn.Linear(width, width)

    def forward(
        self, embedding: Tensor, targets: Sequence[Tensor], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """Compute each image's loss.

        Args:
            embedding: ``[B, C, h, w]``.
            targets: for each image, coverage ``[M, 4h, 4w]`` between 0 and 1.
            generators: for each image, the source of its clicks.

        Returns:
            The losses ``[B]`` and the mean best-of-three IoU of each image ``[B]``.
        """
        rows, columns = embedding.shape[-2:]
        position = self.prompt_encoder.pe_layer((rows, columns))
        placed = embedding + self.place(position.permute(1, 2, 0)).permute(2, 0, 1)
        upscaled = self.mask_decoder.output_upscaling(placed).flatten(2)
        losses, ious = [], []
        for image, features, target, generator in zip(embedding, upscaled, targets, generators, strict=True):
            cells = sample_cells((target >= 0.5).float(), self.clicks, generator)
            unit = cells / torch.tensor([4.0 * columns, 4.0 * rows], device=cells.device)
            seen = F.grid_sample(
                image[None].float(),
                (2 * unit - 1).reshape(1, 1, -1, 2),
                align_corners=False,
                padding_mode="border",
            )
            where = self.prompt_encoder.pe_layer._pe_encoding(unit.reshape(-1, 2))
            query = self.query(seen[0, :, 0].T + self.place(where))
            kernels = torch.stack([mlp(query) for mlp in self.mask_decoder.output_hypernetworks_mlps], dim=1)
            logits = (kernels @ features).float().unflatten(2, (4 * rows, 4 * columns))
            repeated = target.repeat_interleave(self.clicks, dim=0)[:, None].expand_as(logits)
            each = mask_loss(logits, repeated, "balanced", 1.0, 1.0)
            losses.append((each[:, 1:].min(dim=1).values + 0.5 * each[:, 0]).mean())
            ious.append(mask_iou(logits[:, 1:], repeated[:, 1:]).max(dim=1).values.mean())
        return torch.stack(losses), torch.stack(ious)
