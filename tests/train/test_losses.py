"""Losses against plain loops over the published formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymask.train.losses import balanced_cross_entropy, dice_loss, focal_loss, mask_iou, mask_loss


def sample(seed: int, hard: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 3, 5, 4, generator=generator)
    targets = torch.rand(2, 3, 5, 4, generator=generator)
    return logits, (targets > 0.6).float() if hard else targets


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_focal_loss_is_the_formula_of_lin_et_al() -> None:
    logits, targets = sample(0, hard=True)
    found = focal_loss(logits, targets)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            terms = []
            for logit, target in zip(logits[i, j].flatten().tolist(), targets[i, j].flatten().tolist(), strict=True):
                right = sigmoid(logit) if target else 1 - sigmoid(logit)
                alpha = 0.25 if target else 0.75
                terms.append(-alpha * (1 - right) ** 2 * math.log(right))
            assert found[i, j].item() == pytest.approx(sum(terms) / 20, rel=1e-4)


def test_focal_loss_without_focus_is_half_the_cross_entropy() -> None:
    logits, targets = sample(1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets, 0.0, 0.5), 0.5 * entropy.mean((-2, -1)))


def test_balanced_cross_entropy_gives_both_sides_the_same_weight() -> None:
    logits = torch.zeros(1, 10, 10)
    targets = torch.zeros(1, 10, 10)
    targets[0, :2, :2] = 1
    logits[targets == 0] = -20.0
    # Four object pixels are undecided, 96 others are right: half the weight is on the four.
    assert balanced_cross_entropy(logits, targets).item() == pytest.approx(0.5 * math.log(2), rel=1e-5)
    logits, targets = sample(2, hard=True)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    for i in range(2):
        for j in range(3):
            inside = targets[i, j] == 1
            expected = 0.5 * (entropy[i, j][inside].mean() + entropy[i, j][~inside].mean())
            torch.testing.assert_close(balanced_cross_entropy(logits, targets)[i, j], expected)


def test_balanced_cross_entropy_of_nothing_and_everything_is_finite() -> None:
    logits = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))
    targets = torch.stack([torch.zeros(6, 6), torch.ones(6, 6)])
    assert torch.isfinite(balanced_cross_entropy(logits, targets)).all()


def test_dice_loss_is_the_formula() -> None:
    logits, targets = sample(3)
    probability = logits.sigmoid()
    for i in range(2):
        for j in range(3):
            both = sum((probability[i, j] * targets[i, j]).flatten().tolist())
            total = sum(probability[i, j].flatten().tolist()) + sum(targets[i, j].flatten().tolist())
            expected = 1 - (2 * both + 1) / (total + 1)
            assert dice_loss(logits, targets)[i, j].item() == pytest.approx(expected, rel=1e-4)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0, 50))
def test_dice_loss_lies_between_nought_and_one(seed: int, scale: float) -> None:
    logits, targets = sample(seed, hard=True)
    loss = dice_loss(scale * logits, targets)
    assert ((loss >= -1e-6) & (loss <= 1)).all()
    assert (dice_loss(1000 * (targets - 0.5), targets) < 1e-5).all()


def test_iou_counts_pixels() -> None:
    logits, targets = sample(4)
    found = mask_iou(logits, targets)
    for i in range(2):
        for j in range(3):
            predicted = {k for k, v in enumerate(logits[i, j].flatten().tolist()) if v > 0}
            actual = {k for k, v in enumerate(targets[i, j].flatten().tolist()) if v >= 0.5}
            assert found[i, j].item() == pytest.approx(len(predicted & actual) / len(predicted | actual))


def test_iou_of_empty_masks() -> None:
    nothing, something = torch.zeros(4, 4), torch.ones(4, 4)
    assert mask_iou(-something, nothing) == 1
    assert mask_iou(something, nothing) == 0
    assert mask_iou(-something, something) == 0
    assert not mask_iou(something.clone().requires_grad_(), something).requires_grad


def test_the_mask_loss_adds_its_parts() -> None:
    logits, targets = sample(5)
    for name, part in (("focal", focal_loss), ("balanced", balanced_cross_entropy)):
        expected = 20 * part(logits, targets) + 3 * dice_loss(logits, targets)
        torch.testing.assert_close(mask_loss(logits, targets, name, 20.0, 3.0), expected)
    with pytest.raises(ValueError, match="unknown pixel loss 'l1': use focal or balanced"):
        mask_loss(logits, targets, "l1", 1.0, 1.0)
