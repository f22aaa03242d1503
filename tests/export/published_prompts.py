"""Prompts as programs give them to the published decoder, and what the network answers to the same."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anymask.models.sam import Sam
from anymask.segment.frame import Frame


@dataclass(frozen=True)
class Case:
    """Points (so many of them on the object), a box, and earlier logits: what a prompt has of these."""

    points: int = 0
    box: bool = False
    mask: bool = False

    def __str__(self) -> str:
        parts = [f"{self.points}-points"] if self.points else []
        return "-".join(parts + ["box"] * self.box + ["mask"] * self.mask)


CASES = [
    *(Case(points) for points in (1, 2, 5)),
    *(Case(points, box=True) for points in (0, 1, 2, 5)),
    *(Case(points, mask=True) for points in (1, 2, 5)),
    Case(box=True, mask=True),
    Case(5, box=True, mask=True),
]


class Asked:
    """One prompt on a random embedding, for the file and for the network."""

    def __init__(self, network: Sam, case: Case, size: tuple[int, int], embedding: Tensor) -> None:
        generator = torch.Generator().manual_seed(case.points)
        self.network, self.case, self.size, self.embedding = network, case, size, embedding
        side, grid = network.input_side, network.prompt_encoder.mask_input_size[0]
        self.frame = Frame(*size, side)
        extent = torch.tensor([self.frame.input_width, self.frame.input_height])
        self.coords = torch.rand(1, case.points, 2, generator=generator) * extent
        self.labels = (torch.arange(case.points) % 3 != 1).float()[None]
        self.corners = torch.tensor([[[0.2, 0.3], [0.7, 0.9]]]) * extent
        self.mask = torch.randn(1, 1, grid, grid, generator=generator) * 4

    def inputs(self) -> dict[str, Tensor]:
        """The inputs of the file: points, then the box's corners or else one that is no point."""
        last = (
            (self.corners, torch.tensor([[2.0, 3.0]])) if self.case.box else (torch.zeros(1, 1, 2), -torch.ones(1, 1))
        )
        return {
            "image_embeddings": self.embedding,
            "point_coords": torch.cat([self.coords, last[0]], dim=1),
            "point_labels": torch.cat([self.labels, last[1]], dim=1),
            "mask_input": self.mask,
            "has_mask_input": torch.tensor([float(self.case.mask)]),
            "orig_im_size": torch.tensor([float(length) for length in self.size]),
        }

    @torch.no_grad()
    def answer(self) -> dict[str, Tensor]:
        """What the network says, called as the published predictor calls it: all four masks."""
        network, case = self.network, self.case
        sparse, dense = network.prompt_encoder(
            points=(self.coords, self.labels.int()) if case.points else None,
            boxes=self.corners.reshape(1, 4) if case.box else None,
            masks=self.mask if case.mask else None,
        )
        low_res, scores = network.mask_decoder.predict_masks(
            self.embedding, network.prompt_encoder.get_dense_pe(), sparse, dense
        )
        inner = (self.frame.input_height, self.frame.input_width)
        masks = network.postprocess_masks(low_res, inner, self.size)
        return {"masks": masks, "iou_predictions": scores, "low_res_masks": low_res}
