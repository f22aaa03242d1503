"""The interactive objective: rounds of prompts through the whole decoder (paper, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.train.interaction import correct, first_prompt
from anymask.train.losses import mask_iou, mask_loss


@dataclass(frozen=True)
class InteractiveSettings:
    """How a training interaction goes.

    Args:
        points: clicks after the first prompt.
        mask_only: rounds with the previous mask and no new click: one at a random place, the others last.
        box_share: share of masks that start with a box.
        box_jitter: deviation of these boxes' edges as a share of their sides.
        centre_share: share of clicks drawn towards the middle of the region instead of evenly.
        feedback: chance that a round feeds the previous logits back (1.0 in the paper; lower values also
            teach the decoder to answer several points at once).
        pixel_loss: "focal" (paper) or "balanced".
        pixel_weight: weight of the pixel loss.
        dice_weight: weight of the dice loss.
        iou_weight: weight of the quality loss.
        single_weight: weight, in the first round, of the mask for unambiguous prompts beside the best of
            three. With 0, as in the paper, it is trained from the second round on, and a box is answered by the
            best-rated of three as a point is.
    """

    points: int = 8
    mask_only: int = 2
    box_share: float = 0.5
    box_jitter: float = 0.1
    centre_share: float = 0.0
    feedback: float = 1.0
    pixel_loss: str = "focal"
    pixel_weight: float = 20.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    single_weight: float = 1.0


def _rounds(settings: InteractiveSettings, generator: torch.Generator) -> list[bool]:
    """List, for each round after the first, whether it brings a new click."""
    rounds = [True] * settings.points
    if settings.mask_only > 0:
        rounds += [False] * (settings.mask_only - 1)
        place = int(torch.randint(0, settings.points + 1, (1,), generator=generator))
        rounds.insert(place, False)
    return rounds


def interactive_loss(
    embedding: Tensor,
    targets: Tensor,
    boxes: Tensor,
    prompt_encoder: PromptEncoder,
    mask_decoder: MaskDecoder,
    settings: InteractiveSettings,
    generator: torch.Generator,
    weight: float = 1.0,
) -> dict[str, Tensor]:
    """Run one image's interaction, back-propagating after every round so that only one round is in memory.

    Call it once an image, all images of a batch under one ``torch.autocast``, whose cache then converts the
    decoder's weights once.

    Args:
        embedding: ``[1, C, h, w]``, a leaf whose gradient collects.
        targets: coverage ``[M, 4h, 4w]`` between 0 and 1.
        boxes: ``[M, 4]`` in view pixels.
        prompt_encoder: embeds the prompts.
        mask_decoder: answers them.
        settings: how the interaction goes.
        generator: the source of all randomness.
        weight: factor on the loss before it is back-propagated.

    Returns:
        ``loss`` and, after the first and the last round, ``first_iou`` (best of three, of those that began
        with a point, nan if none), ``box_iou`` (single mask, of those that began with a box, nan if none),
        ``last_iou`` and ``iou_error`` as detached scalars.
    """
    rows, columns = embedding.shape[-2:]
    side = 16 * rows
    dtype = mask_decoder.token_dtype(embedding.device)
    position = prompt_encoder.pe_layer((rows, columns)).flatten(1).T.to(dtype).contiguous()
    tokens = embedding.to(dtype).flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
    # Gradients of all rounds collect here and go on to the embedding once.
    shared = tokens.detach().requires_grad_(embedding.requires_grad)
    interaction = first_prompt(
        targets, boxes, side, settings.box_share, settings.centre_share, generator, settings.box_jitter
    )
    began_with_box = interaction.labels[:, 0] == 2
    # No round uses it before the first has replaced it.
    previous = targets
    total = torch.zeros((), device=targets.device)
    report: dict[str, Tensor] = {}
    rounds = _rounds(settings, generator)
    first = slice(None) if settings.single_weight > 0 else slice(1, None)
    for number, click in enumerate([False, *rounds]):
        if click:
            interaction = correct(interaction, previous, targets, side, settings.centre_share, generator)
        sparse = prompt_encoder.embed_points(interaction.points, interaction.labels, pad=False)
        feed = float(torch.rand(1, generator=generator)) < settings.feedback or not click
        if number > 0 and feed:
            dense = prompt_encoder.embed_mask_tokens(previous[:, None])[None]
        else:
            dense = prompt_encoder.no_mask_embed.weight.reshape(1, 1, 1, -1)
        used = first if number == 0 else slice(0, 1)
        logits, predicted = mask_decoder.decode_tokens(shared + dense.to(dtype), position, sparse[None], columns, used)
        logits, predicted = logits[0].float(), predicted[0].float()
        wanted = targets[:, None].expand_as(logits)
        losses = mask_loss(logits, wanted, settings.pixel_loss, settings.pixel_weight, settings.dice_weight)
        actual = mask_iou(logits, wanted)
        loss = losses[:, 0]
        if number == 0:
            loss = losses[:, -3:].min(dim=1).values
            if settings.single_weight > 0:
                loss = settings.single_weight * losses[:, 0] + loss
        loss = loss.mean() + settings.iou_weight * F.mse_loss(predicted[:, used], actual)
        torch.autograd.backward(loss * (weight / (1 + len(rounds))))
        total = total + loss.detach()
        previous = logits.detach()[:, 0]
        if number == 0:
            # What the user would carry on with: the best-rated of three after a click, one after a box.
            best = predicted[:, 1:].argmax(dim=1)
            previous = logits.detach()[:, -3:][torch.arange(len(logits), device=logits.device), best]
            if settings.single_weight > 0:
                previous = torch.where(began_with_box[:, None, None], logits.detach()[:, 0], previous)
            report["first_iou"] = actual[:, -3:].max(dim=1).values[~began_with_box].mean()
            report["box_iou"] = mask_iou(previous, targets)[began_with_box].mean()
            report["iou_error"] = (predicted.detach()[:, used] - actual).abs().mean()
    if embedding.requires_grad:
        torch.autograd.backward(tokens, shared.grad)
    report["last_iou"] = mask_iou(previous, targets).mean()
    report["loss"] = total / (1 + len(rounds))
    return report
