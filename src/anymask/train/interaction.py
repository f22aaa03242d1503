"""Simulated interaction (paper, appendix A): prompts from the truth, then clicks on what is still wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def sample_cells(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw grid cells with probability proportional to ``weights``.

    Numbers are drawn on the generator's device, so that a seed means the same everywhere.

    Args:
        weights: ``[M, h, w]``, not negative; a mask whose weights are all zero draws evenly.
        count: cells for each mask.
        generator: the source of randomness.

    Returns:
        ``[M, count, 2]`` float32 (x, y) in cells, each at a random place within its cell.
    """
    flat = weights.flatten(1)
    flat = torch.where(flat.sum(1, keepdim=True) > 0, flat, torch.ones_like(flat))
    # torch.multinomial draws one number for every cell; this draws one for every sample.
    # Apple's GPUs have no float64.
    cumulative = flat.cumsum(1, dtype=torch.float32 if flat.device.type == "mps" else torch.float64)
    drawn = torch.rand(len(flat), count, generator=generator, device=generator.device, dtype=torch.float64)
    drawn = drawn.to(cumulative)
    chosen = torch.searchsorted(cumulative, drawn * cumulative[:, -1:], right=True).clamp(max=flat.shape[1] - 1)
    width = weights.shape[2]
    place = torch.stack([chosen % width, chosen // width], dim=-1).float()
    within = torch.rand(place.shape, generator=generator, device=generator.device)
    return place + within.to(place.device)


def favour_centres(regions: Tensor) -> Tensor:
    """Weigh the cells of ``[M, h, w]`` 0/1 regions towards their middles, where people click."""
    coarse = F.avg_pool2d(regions[:, None], 2)
    for radius in (1, 2):
        coarse = coarse * F.avg_pool2d(coarse, 2 * radius + 1, stride=1, padding=radius).pow(3)
    return F.interpolate(coarse, scale_factor=2)[:, 0] * regions


def jitter_boxes(boxes: Tensor, side: int, deviation: float, generator: torch.Generator) -> Tensor:
    """Move each edge of ``[M, 4]`` boxes by a normal deviate of ``deviation`` times the box's side, at most 20 px.

    The paper's deviation is 0.1. Boxes stay in the view.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    deviates = torch.randn(boxes.shape, generator=generator, device=generator.device)
    noise = deviates.to(boxes.device) * deviation * size
    return (boxes + noise.clamp(-20, 20)).clamp(0, side)


def _chance(count: int, share: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """Decide ``count`` times whether something with the chance ``share`` happens: bool ``[count]``."""
    drawn = torch.rand(count, generator=generator, device=generator.device)
    return (drawn < share).to(device)


@dataclass
class Interaction:
    """The prompts given so far for M masks of one image.

    Attributes:
        points: ``[M, K, 2]`` (x, y) in view pixels, pixel corners at whole numbers minus a half as SAM counts
            them.
        labels: ``[M, K]`` int64; 2 and 3 are box corners, -1 fills up prompts without a box.
    """

    points: Tensor
    labels: Tensor


def first_prompt(
    targets: Tensor,
    boxes: Tensor,
    side: int,
    box_share: float,
    centre_share: float,
    generator: torch.Generator,
    box_jitter: float = 0.1,
) -> Interaction:
    """Start each mask with a foreground point or a jittered box.

    Args:
        targets: coverage ``[M, h, w]`` between 0 and 1.
        boxes: ``[M, 4]`` in view pixels.
        side: side of the view in pixels.
        box_share: share of masks that start with a box.
        centre_share: share of points drawn towards the middle of the object.
        generator: the source of randomness.
        box_jitter: deviation of the boxes' edges as a share of their sides.

    Returns:
        Two tokens a mask: the box's corners, or a point and a filler.
    """
    cell = side / targets.shape[-1]
    region = (targets >= targets.amax(dim=(1, 2), keepdim=True).clamp(max=0.5)).float()
    central = _chance(len(region), centre_share, generator, region.device)
    weights = torch.where(central[:, None, None], favour_centres(region), region)
    # SAM adds half a pixel to what it is given.
    point = sample_cells(weights, 1, generator) * cell - 0.5
    corners = jitter_boxes(boxes, side, box_jitter, generator).reshape(-1, 2, 2) - 0.5
    use_box = _chance(len(region), box_share, generator, region.device)
    filler = torch.zeros_like(point)
    points = torch.where(use_box[:, None, None], corners, torch.cat([point, filler], dim=1))
    box_labels, point_labels = torch.tensor([[2, 3], [1, -1]], device=region.device)
    return Interaction(points, torch.where(use_box[:, None], box_labels, point_labels))


def correct(
    interaction: Interaction,
    logits: Tensor,
    targets: Tensor,
    side: int,
    centre_share: float,
    generator: torch.Generator,
) -> Interaction:
    """Add a click for each mask where the prediction is wrong.

    The click is foreground where the prediction misses, background where it spills.

    Args:
        interaction: the prompts so far.
        logits: ``[M, h, w]`` of the current masks.
        targets: coverage ``[M, h, w]`` between 0 and 1.
        side: side of the view in pixels.
        centre_share: share of clicks drawn towards the middle of the error.
        generator: the source of randomness.
    """
    cell = side / targets.shape[-1]
    actual = targets >= 0.5
    wrong = ((logits > 0) != actual).float()
    nothing_wrong = wrong.flatten(1).sum(1) == 0
    wrong = torch.where(nothing_wrong[:, None, None], actual.float(), wrong)
    central = _chance(len(wrong), centre_share, generator, wrong.device)
    weights = torch.where(central[:, None, None], favour_centres(wrong), wrong)
    cells = sample_cells(weights, 1, generator)
    column, row = cells.long().unbind(-1)
    label = actual[torch.arange(len(actual), device=actual.device)[:, None], row, column].long()
    points = torch.cat([cells * cell - 0.5, interaction.points], dim=1)
    return Interaction(points, torch.cat([label, interaction.labels], dim=1))
