"""The interactive objective: rounds, losses and gradients against a plain version in one piece."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anymask.models.sam import Sam
from anymask.train.config import load_config
from anymask.train.initialise import initialise_decoder
from anymask.train.interaction import correct, first_prompt
from anymask.train.interactive import InteractiveSettings, interactive_loss
from anymask.train.losses import mask_iou, mask_loss

REPOSITORY = Path(__file__).parents[2]
PAPER = InteractiveSettings()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network(build_tiny: Callable[..., Sam]) -> Sam:
    torch.manual_seed(1)
    network = build_tiny(64)
    initialise_decoder(network.prompt_encoder, network.mask_decoder)
    return network


@pytest.fixture
def objects() -> tuple[Tensor, Tensor]:
    """Three objects on the 16 x 16 cells of a view of 64 pixels, and their boxes."""
    targets = torch.zeros(3, 16, 16)
    targets[0, 2:9, 3:12] = 1
    targets[1, 10:15, 1:5] = 1
    targets[2, 3:13, 9:15] = 0.7
    boxes = torch.tensor([[12.0, 8, 48, 36], [4, 40, 20, 60], [36, 12, 60, 52]])
    return targets, boxes


def run(
    network: Sam, objects: tuple[Tensor, Tensor], settings: InteractiveSettings, seed: int = 0, **more: Any
) -> tuple[dict[str, Tensor], Tensor]:
    embedding = torch.randn(1, 32, 4, 4, generator=seeded(7)).requires_grad_()
    report = interactive_loss(
        embedding, *objects, network.prompt_encoder, network.mask_decoder, settings, seeded(seed), **more
    )
    assert embedding.grad is not None
    return report, embedding.grad


def plain_loss(
    embedding: Tensor, objects: tuple[Tensor, Tensor], network: Sam, clicks: list[bool], seed: int
) -> Tensor:
    """All rounds in one graph, through the decoder's published interface; feedback in every round."""
    targets, boxes = objects
    encoder, decoder = network.prompt_encoder, network.mask_decoder
    generator = seeded(seed)
    interaction = first_prompt(targets, boxes, 64, 0.5, 0.0, generator)
    torch.randint(0, 2, (1,), generator=generator)
    losses: list[Tensor] = []
    previous = torch.zeros(3, 16, 16)
    for number, click in enumerate(clicks):
        if click:
            interaction = correct(interaction, previous, targets, 64, 0.0, generator)
        torch.rand(1, generator=generator)
        sparse = encoder.embed_points(interaction.points, interaction.labels, pad=False)
        dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(3, -1, 4, 4)
        if number:
            dense = encoder.embed_masks(previous[:, None])
        logits, predicted = decoder.predict_masks(embedding, encoder.get_dense_pe(), sparse, dense)
        wanted = targets[:, None].expand(-1, 4, -1, -1)
        each = mask_loss(logits, wanted, "focal", 20.0, 1.0)
        actual = mask_iou(logits, wanted)
        if number == 0:
            quality = (predicted - actual).square().mean()
            losses.append(each[:, 0].mean() + each[:, 1:].amin(1).mean() + quality)
            best = predicted[:, 1:].argmax(1) + 1
            best = torch.where(interaction.labels[:, 0] == 2, 0, best)
            previous = torch.stack([row[index] for row, index in zip(logits, best, strict=True)]).detach()
        else:
            quality = (predicted[:, 0] - actual[:, 0]).square().mean()
            losses.append(each[:, 0].mean() + quality)
            previous = logits[:, 0].detach()
    return torch.stack(losses).mean()


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_one_loss_in_one_piece(network: Sam, objects: tuple[Tensor, Tensor], seed: int) -> None:
    settings = InteractiveSettings(points=1, mask_only=1)
    # The mask-only round comes before or after the click.
    place = 0
    probe = seeded(seed)
    first_prompt(*objects, 64, 0.5, 0.0, probe)
    place = int(torch.randint(0, 2, (1,), generator=probe))
    clicks = [False, *([False, True] if place == 0 else [True, False])]
    report, found = run(network, objects, settings, seed, weight=0.5)
    parameters = [*network.prompt_encoder.parameters(), *network.mask_decoder.parameters()]
    gradients = [None if value.grad is None else value.grad.clone() for value in parameters]
    network.zero_grad()

    embedding = torch.randn(1, 32, 4, 4, generator=seeded(7)).requires_grad_()
    expected = plain_loss(embedding, objects, network, clicks, seed)
    (0.5 * expected).backward()
    torch.testing.assert_close(report["loss"], expected.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found, embedding.grad, rtol=1e-3, atol=1e-6)
    assert sum(gradient is not None for gradient in gradients) > 50
    for gradient, value in zip(gradients, parameters, strict=True):
        assert (gradient is None) == (value.grad is None)
        if gradient is not None:
            torch.testing.assert_close(gradient, value.grad, rtol=1e-3, atol=2e-6)


def count_rounds(network: Sam, objects: tuple[Tensor, Tensor], settings: InteractiveSettings, seed: int) -> Any:
    """The number of prompt tokens, and whether a mask was fed back, in each round."""
    rounds = []
    decode = network.mask_decoder.decode_tokens

    def spy(tokens: Tensor, position: Tensor, sparse: Tensor, *more: Any) -> Any:
        rounds.append((sparse.shape[2], tokens.shape[1] > 1))
        return decode(tokens, position, sparse, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network.mask_decoder, "decode_tokens", spy)
        run(network, objects, settings, seed)
    return rounds


def test_the_paper_s_schedule_has_eleven_rounds(network: Sam, objects: tuple[Tensor, Tensor]) -> None:
    places = set()
    for seed in range(12):
        rounds = count_rounds(network, objects, PAPER, seed)
        assert len(rounds) == 11
        tokens = [tokens for tokens, _ in rounds]
        mask_only = [number for number in range(1, 11) if tokens[number] == tokens[number - 1]]
        assert len(mask_only) == 2
        assert mask_only[1] == 10
        assert tokens[0] == 2
        assert tokens[-1] == 10
        assert [fed for _, fed in rounds] == [False] + [True] * 10
        places.add(mask_only[0])
    assert len(places) > 3


def test_the_paper_s_recipe_round_by_round(
    network: Sam, objects: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Best of three in the first round, the single mask after; the best-rated logits are fed back as they are."""
    settings = load_config(REPOSITORY / "configs" / "paper-vit-h.yaml").phases[0].interaction
    answers: list[tuple[Tensor, Tensor]] = []
    fed: list[Tensor] = []
    judged: list[tuple[int, ...]] = []
    decode, embed = network.mask_decoder.decode_tokens, network.prompt_encoder.embed_mask_tokens

    def note_answer(*given: Any, **more: Any) -> tuple[Tensor, Tensor]:
        logits, predicted = decode(*given, **more)
        logits.retain_grad()
        answers.append((logits, predicted.detach()))
        return logits, predicted

    def note_mask(masks: Tensor) -> Tensor:
        fed.append(masks)
        return embed(masks)

    def note_loss(logits: Tensor, *more: Any) -> Tensor:
        judged.append(tuple(logits.shape[:2]))
        return mask_loss(logits, *more)

    monkeypatch.setattr(network.mask_decoder, "decode_tokens", note_answer)
    monkeypatch.setattr(network.prompt_encoder, "embed_mask_tokens", note_mask)
    monkeypatch.setattr("anymask.train.interactive.mask_loss", note_loss)
    report, _ = run(network, objects, settings, seed=3)
    assert judged == [(3, 3)] + [(3, 1)] * 10
    best = answers[0][1][0, :, 1:].argmax(-1)
    torch.testing.assert_close(fed[0][:, 0], answers[0][0].detach()[0, torch.arange(3), best])
    for number in range(1, 10):
        torch.testing.assert_close(fed[number][:, 0], answers[number][0].detach()[0, :, 0])
    assert len(fed) == 10
    # The first round asks for three masks and trains one of them, the others for the single mask.
    assert [answer[0].shape[2] for answer in answers] == [3] + [1] * 10
    gradient = answers[0][0].grad
    assert gradient is not None
    assert ((gradient[0].flatten(2) != 0).any(-1).sum(1) == 1).all()
    assert 0 <= report["box_iou"] <= 1


def test_mask_only_rounds_are_fed_even_without_feedback(network: Sam, objects: tuple[Tensor, Tensor]) -> None:
    rounds = count_rounds(network, objects, InteractiveSettings(points=2, mask_only=1, feedback=0.0), 0)
    fed = [fed for _, fed in rounds]
    assert len(rounds) == 4
    assert fed.count(True) == 1
    number = fed.index(True)
    assert rounds[number][0] == rounds[number - 1][0]
    assert len(count_rounds(network, objects, InteractiveSettings(points=0, mask_only=0), 0)) == 1


def test_the_report(network: Sam, objects: tuple[Tensor, Tensor]) -> None:
    report, gradient = run(network, objects, PAPER)
    assert set(report) == {"loss", "first_iou", "box_iou", "last_iou", "iou_error"}
    assert all(value.shape == () and not value.requires_grad for value in report.values())
    assert gradient.abs().max() > 0
    boxes_only, _ = run(network, objects, InteractiveSettings(points=1, mask_only=0, box_share=1.0))
    assert boxes_only["first_iou"].isnan()
    assert 0 <= boxes_only["box_iou"] <= 1
    points_only, _ = run(network, objects, InteractiveSettings(points=1, mask_only=0, box_share=0.0))
    assert points_only["box_iou"].isnan()
    assert 0 <= points_only["first_iou"] <= 1


def test_a_frozen_embedding_trains_the_decoder_alone(network: Sam, objects: tuple[Tensor, Tensor]) -> None:
    embedding = torch.randn(1, 32, 4, 4, generator=seeded(7))
    settings = InteractiveSettings(points=1, mask_only=0)
    interactive_loss(embedding, *objects, network.prompt_encoder, network.mask_decoder, settings, seeded(0))
    assert embedding.grad is None
    assert network.mask_decoder.mask_tokens.weight.grad is not None


def test_the_loss_falls_on_one_image(network: Sam, objects: tuple[Tensor, Tensor]) -> None:
    image = torch.full((1, 3, 64, 64), -1.0)
    for number, target in enumerate(objects[0]):
        image[0, number] += 2 * target.repeat_interleave(4, 0).repeat_interleave(4, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    settings = InteractiveSettings(points=1, mask_only=1, pixel_loss="balanced", pixel_weight=1.0)
    losses = []
    generator = seeded(0)
    for _ in range(40):
        optimizer.zero_grad()
        embedding = network.image_encoder(image)
        leaf = embedding.detach().requires_grad_()
        report = interactive_loss(leaf, *objects, network.prompt_encoder, network.mask_decoder, settings, generator)
        embedding.backward(leaf.grad)
        optimizer.step()
        losses.append(float(report["loss"]))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
