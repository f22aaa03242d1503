"""Simulated prompts: they lie where a user would put them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anymask.train.interaction import (
    Interaction,
    correct,
    favour_centres,
    first_prompt,
    jitter_boxes,
    sample_cells,
)

SIDE = 128
GRID = SIDE // 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blocks(*boxes: tuple[int, int, int, int]) -> Tensor:
    """Targets with one filled block of cells (x0, y0, x1, y1) each."""
    targets = torch.zeros(len(boxes), GRID, GRID)
    for target, (x0, y0, x1, y1) in zip(targets, boxes, strict=True):
        target[y0:y1, x0:x1] = 1
    return targets


def cell_of(point: Tensor) -> tuple[int, int]:
    # SAM adds half a pixel to what it is given, and so must whoever asks where it looks.
    x, y = ((point + 0.5) / 4).floor().long().tolist()
    return x, y


def test_cells_are_drawn_in_proportion_to_their_weights() -> None:
    weights = torch.zeros(2, 4, 6)
    weights[0, 1, 2], weights[0, 3, 5], weights[1, 0, 0] = 1.0, 3.0, 0.5
    cells = sample_cells(weights, 4000, seeded(0))
    assert cells.shape == (2, 4000, 2)
    place, counts = np.unique(cells[0].floor().numpy(), axis=0, return_counts=True)
    assert place.tolist() == [[2, 1], [5, 3]]
    assert counts[1] / 4000 == pytest.approx(0.75, abs=0.03)
    assert (cells[1].floor() == 0).all()
    # Within its cell each point is anywhere.
    inside = cells - cells.floor()
    assert inside.mean() == pytest.approx(0.5, abs=0.02)
    assert inside.min() < 0.05
    assert inside.max() > 0.95


def test_without_weights_every_cell_is_drawn() -> None:
    cells = sample_cells(torch.zeros(1, 3, 3), 500, seeded(1)).floor().long()
    assert len({tuple(cell) for cell in cells[0].tolist()}) == 9


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_cells_without_weight_are_never_drawn(seed: int) -> None:
    weights = (torch.rand(3, 7, 5, generator=seeded(seed)) < 0.3).float()
    cells = sample_cells(weights, 20, seeded(seed + 1)).long()
    for mask, places in zip(weights, cells, strict=True):
        if mask.any():
            assert (mask[places[:, 1], places[:, 0]] == 1).all()


def test_centres_are_favoured() -> None:
    region = blocks((4, 4, 24, 24))
    weights = favour_centres(region)
    assert (weights[region == 0] == 0).all()
    assert weights[0, 14, 14] > 2 * weights[0, 4, 4]
    assert weights[0, 14, 14] == weights.max()
    # A region too thin to have a middle may lose all weight, but is then drawn evenly, not elsewhere.
    thin = blocks((3, 3, 4, 20))
    assert (favour_centres(thin)[thin == 0] == 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_boxes_move_by_a_tenth_at_most_twenty_pixels_inside_the_view(seed: int) -> None:
    corners = torch.rand(40, 2, generator=seeded(seed)) * 400
    boxes = torch.cat([corners, corners + 10 + torch.rand(40, 2, generator=seeded(seed + 1)) * 100], dim=1)
    moved = jitter_boxes(boxes, 512, 0.1, seeded(seed + 2))
    assert ((moved - boxes).abs() <= 20.001).all()
    assert (moved >= 0).all()
    assert (moved <= 512).all()


def test_the_jitter_s_deviation_is_a_tenth_of_the_side() -> None:
    boxes = torch.tensor([[200.0, 200.0, 250.0, 300.0]]).expand(5000, 4)
    deviation = (jitter_boxes(boxes, 512, 0.1, seeded(0)) - boxes).std(dim=0)
    # Over a side of 100 pixels, two deviations are cut off.
    torch.testing.assert_close(deviation, torch.tensor([5.0, 9.6, 5.0, 9.6]), rtol=0.05, atol=0)


@pytest.mark.parametrize("centre_share", [0.0, 1.0])
def test_first_points_lie_on_the_object(centre_share: float) -> None:
    areas = [(2, 3, 12, 9), (20, 20, 21, 21), (0, 30, 32, 32)] * 30
    targets = blocks(*areas)
    boxes = 4 * torch.tensor(areas).float()
    started = first_prompt(targets, boxes, SIDE, 0.0, centre_share, seeded(0))
    assert started.points.shape == (90, 2, 2)
    assert started.labels.tolist() == [[1, -1]] * 90
    for target, points in zip(targets, started.points, strict=True):
        x, y = cell_of(points[0])
        assert target[y, x] == 1
        assert points[1].tolist() == [0, 0]


def test_objects_that_fill_no_cell_by_half_are_clicked_where_they_fill_most() -> None:
    targets = torch.zeros(1, GRID, GRID)
    targets[0, 5, 6], targets[0, 5, 7] = 0.2, 0.3
    started = first_prompt(targets, torch.zeros(1, 4), SIDE, 0.0, 0.0, seeded(0))
    assert cell_of(started.points[0, 0]) == (7, 5)


def test_first_boxes_are_the_object_s() -> None:
    areas = torch.tensor([[8.0, 12.0, 60.0, 90.0]]).expand(200, 4)
    targets = blocks(*[(2, 3, 15, 22)] * 200)
    started = first_prompt(targets, areas, SIDE, 1.0, 0.0, seeded(0))
    assert started.labels.tolist() == [[2, 3]] * 200
    corners = started.points.reshape(200, 4) + 0.5
    torch.testing.assert_close(corners.mean(0), areas[0], atol=1.5, rtol=0)
    assert ((corners - areas).abs() <= 20.001).all()


def test_the_share_of_boxes() -> None:
    targets, areas = blocks(*[(2, 3, 15, 22)] * 1000), torch.tensor([[8.0, 12.0, 60.0, 90.0]]).expand(1000, 4)
    started = first_prompt(targets, areas, SIDE, 0.5, 0.0, seeded(0))
    assert (started.labels[:, 0] == 2).float().mean() == pytest.approx(0.5, abs=0.05)
    assert (started.labels[:, 1] == torch.where(started.labels[:, 0] == 2, 3, -1)).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), centre_share=st.sampled_from([0.0, 0.5, 1.0]))
def test_corrections_fall_on_errors_with_the_right_label(seed: int, centre_share: float) -> None:
    targets = torch.rand(4, GRID, GRID, generator=seeded(seed))
    logits = torch.randn(4, GRID, GRID, generator=seeded(seed + 1))
    before = Interaction(torch.full((4, 2, 2), 7.0), torch.tensor([[2, 3]] * 4))
    after = correct(before, logits, targets, SIDE, centre_share, seeded(seed + 2))
    assert torch.equal(after.points[:, 1:], before.points)
    assert torch.equal(after.labels[:, 1:], before.labels)
    for target, logit, point, label in zip(targets, logits, after.points, after.labels, strict=True):
        x, y = cell_of(point[0])
        actual = bool(target[y, x] >= 0.5)
        assert bool(logit[y, x] > 0) != actual
        assert label[0] == int(actual)


def test_missed_and_spilled_are_told_apart() -> None:
    targets = blocks((4, 4, 12, 12), (4, 4, 12, 12))
    logits = torch.where(blocks((4, 4, 12, 10), (4, 4, 12, 15)) == 1, 5.0, -5.0)
    none = Interaction(torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.long))
    after = correct(none, logits, targets, SIDE, 0.0, seeded(0))
    assert after.labels.tolist() == [[1], [0]]
    assert 10 <= cell_of(after.points[0, 0])[1] < 12
    assert 12 <= cell_of(after.points[1, 0])[1] < 15


def test_where_nothing_is_wrong_the_object_is_clicked_again() -> None:
    targets = blocks((4, 4, 12, 12))
    none = Interaction(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.long))
    after = correct(none, 10 * targets - 5, targets, SIDE, 0.0, seeded(0))
    x, y = cell_of(after.points[0, 0])
    assert targets[0, y, x] == 1
    assert after.labels.tolist() == [[1]]
