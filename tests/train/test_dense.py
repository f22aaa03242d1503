"""The dense objective: clicks answered without the transformer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from anymask.models.sam import Sam
from anymask.train.dense import DenseObjective


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def objective(build_tiny: Callable[..., Sam]) -> DenseObjective:
    torch.manual_seed(0)
    network = build_tiny(64)
    return DenseObjective(network.prompt_encoder, network.mask_decoder)


@pytest.fixture
def targets() -> list[Tensor]:
    first, second = torch.zeros(2, 16, 16), torch.zeros(1, 16, 16)
    first[0, 2:9, 3:12], first[1, 10:15, 1:5], second[0, 4:12, 4:12] = 1, 1, 1
    return [first, second]


def test_it_trains_the_encoder_and_the_parts_that_draw_masks(objective: DenseObjective, targets: list[Tensor]) -> None:
    embedding = torch.randn(2, 32, 4, 4, generator=seeded(1)).requires_grad_()
    losses, ious = objective(embedding, targets, [seeded(2), seeded(3)])
    losses.mean().backward()
    assert losses.shape == ious.shape == (2,)
    assert ((ious >= 0) & (ious <= 1)).all()
    assert not ious.requires_grad
    assert embedding.grad is not None
    assert (embedding.grad.flatten(1).abs().sum(1) > 0).all()
    trained = {name for name, value in objective.named_parameters() if value.grad is not None}
    parts = {".".join(name.split(".")[:2]) for name in trained}
    assert parts == {
        "place.weight",
        "place.bias",
        "query.weight",
        "query.bias",
        "mask_decoder.output_upscaling",
        "mask_decoder.output_hypernetworks_mlps",
    }


def test_the_clicks_come_from_the_generators(objective: DenseObjective, targets: list[Tensor]) -> None:
    embedding = torch.randn(2, 32, 4, 4, generator=seeded(1))
    one, other, third = (objective(embedding, targets, [seeded(3), seeded(last)])[0] for last in (4, 4, 5))
    assert torch.equal(one, other)
    assert one[0] == third[0]
    assert one[1] != third[1]


def test_an_image_s_loss_does_not_depend_on_its_neighbours(objective: DenseObjective, targets: list[Tensor]) -> None:
    embedding = torch.randn(2, 32, 4, 4, generator=seeded(1))
    both, _ = objective(embedding, targets, [seeded(5), seeded(6)])
    apart = [objective(embedding[i : i + 1], targets[i : i + 1], [seeded(5 + i)])[0] for i in range(2)]
    torch.testing.assert_close(both, torch.cat(apart))


def test_the_loss_falls_on_one_image(
    objective: DenseObjective, targets: list[Tensor], build_tiny: Callable[..., Sam]
) -> None:
    torch.manual_seed(3)
    encoder = build_tiny(64).image_encoder
    images = torch.randn(2, 3, 64, 64, generator=seeded(0))
    optimizer = torch.optim.AdamW([*encoder.parameters(), *objective.parameters()], lr=3e-3)
    generator = seeded(1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        each, _ = objective(encoder(images), targets, [generator, generator])
        each.mean().backward()
        optimizer.step()
        losses.append(each.mean().item())
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
