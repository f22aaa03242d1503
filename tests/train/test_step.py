"""One training step: parts, stochastic depth, frozen parts, and the dense objective beside the interactive one."""

import dataclasses
from typing import Any

import pytest
import torch
from tiny_run import build
from torch import Tensor

from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam
from anymask.train.batches import BatchStream, WeightedDataset
from anymask.train.config import ConfigError, PhaseConfig
from anymask.train.dense import DenseObjective
from anymask.train.interactive import InteractiveSettings
from anymask.train.step import FIGURES, TrainingStep, check_encoder, draw_branch_weights, seeded_generator
from anymask.train.synthetic_dataset import SyntheticDataset
from anymask.train.views import Augmentation

PHASE = PhaseConfig("interactive", 5, 64, 3, 2, interaction=InteractiveSettings(points=1, mask_only=1))
Gradients = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Tensors of these sizes are slower on more."""


def run(phase: PhaseConfig, kind: str = "vit", parts: int = 1, step: int = 2) -> tuple[Tensor, Gradients, Sam]:
    """The figures and gradients of one step of a model with weights that are always the same."""
    torch.manual_seed(4)
    model = build(kind, phase.image_size)
    dense = DenseObjective(model.prompt_encoder, model.mask_decoder)
    training = TrainingStep(model, dense, phase, (7, 0), torch.device("cpu"), torch.float32)
    training.prepare()
    stream = BatchStream(
        [WeightedDataset(SyntheticDataset(size=64), 1.0)],
        side=64,
        batch_size=phase.batch_size,
        max_masks=phase.max_masks,
        augmentation=Augmentation(),
        seed=1,
        mean=PIXEL_MEAN,
        std=PIXEL_STD,
        parts=parts,
    )
    batches = [stream.batch(step, part) for part in range(parts)]
    figures = torch.cat([training.backward(batch, step) for batch in batches])
    order = [position for batch in batches for position in batch.positions]
    named = [*model.named_parameters(), *(pair for pair in dense.named_parameters() if pair[0].startswith("place."))]
    gradients = {name: value.grad.clone() for name, value in named if value.grad is not None}
    return figures[torch.tensor(order).argsort()], gradients, model


def assert_close(first: Gradients, second: Gradients) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize(
    "changes",
    [{}, {"drop_path": 0.5}, {"dense_weight": 0.3}, {"objective": "dense"}, {"checkpoint_activations": True}],
    ids=str,
)
@pytest.mark.parametrize("parts", [2, 3])
def test_parts_of_a_batch_add_up_to_it(changes: dict[str, Any], parts: int) -> None:
    phase = dataclasses.replace(PHASE, **changes)
    figures, gradients, _ = run(phase)
    in_parts, of_parts, _ = run(phase, parts=parts)
    torch.testing.assert_close(in_parts, figures, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert figures.shape == (3, len(FIGURES))
    assert figures[:, 0].isfinite().all()
    assert_close(gradients, of_parts)


def test_the_dense_objective_adds_its_gradient() -> None:
    """The gradient of both is that of the one plus the weight times that of the other."""
    _, alone, _ = run(PHASE)
    _, both, _ = run(dataclasses.replace(PHASE, dense_weight=0.25))
    _, double, _ = run(dataclasses.replace(PHASE, dense_weight=0.5))
    assert not any(name.startswith("place.") for name in alone)
    assert "place.weight" in both
    for name in ("image_encoder.patch_embed.proj.weight", "mask_decoder.output_upscaling.0.weight"):
        added = both[name] - alone[name]
        assert added.abs().max() > 1e-5
        torch.testing.assert_close(double[name] - alone[name], 2 * added, rtol=1e-3, atol=1e-6)


def test_the_dense_gradient_is_that_of_the_dense_loss() -> None:
    # The interaction weighs nothing, so that only the dense objective is left.
    nothing = dataclasses.replace(PHASE.interaction, pixel_weight=0.0, dice_weight=0.0, iou_weight=0.0)
    _, beside, _ = run(dataclasses.replace(PHASE, interaction=nothing, dense_weight=0.5))
    _, alone, _ = run(dataclasses.replace(PHASE, objective="dense"))
    for name, value in alone.items():
        torch.testing.assert_close(beside[name], 0.5 * value, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["vit", "pocket"])
@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        ({"encoder_rate": 0.0}, ("prompt_encoder", "mask_decoder")),
        ({"freeze": ("prompt_encoder", "mask_decoder")}, ("image_encoder",)),
        ({"freeze": ("prompt_encoder",)}, ("image_encoder", "mask_decoder")),
        ({"freeze": ("image_encoder",), "objective": "dense"}, ("mask_decoder", "place")),
        ({"freeze": ("image_encoder",), "dense_weight": 0.1}, ("prompt_encoder", "mask_decoder", "place")),
    ],
    ids=str,
)
def test_frozen_parts_have_no_gradients(kind: str, changes: dict[str, Any], trained: tuple[str, ...]) -> None:
    _, gradients, model = run(dataclasses.replace(PHASE, **changes), kind)
    assert {name.split(".")[0] for name in gradients} == set(trained)
    assert model.image_encoder.training == ("image_encoder" in trained)


def test_a_frozen_encoder_keeps_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    encode = TrainingStep._encode

    def note(self: TrainingStep, *given: Any) -> Tensor:
        embedding = encode(self, *given)
        kept.append(embedding.requires_grad)
        return embedding

    monkeypatch.setattr(TrainingStep, "_encode", note)
    run(dataclasses.replace(PHASE, encoder_rate=0.0))
    run(PHASE)
    assert kept == [False, True]


def test_stochastic_depth_belongs_to_step_and_image() -> None:
    phase = dataclasses.replace(PHASE, drop_path=0.6)
    first, _, _ = run(phase)
    again, _, _ = run(phase)
    plain, _, _ = run(PHASE)
    assert torch.equal(first.nan_to_num(), again.nan_to_num())
    assert not torch.equal(first.nan_to_num(), plain.nan_to_num())


def test_branch_weights_keep_the_mean_and_grow_rarer_upwards() -> None:
    generators = [seeded_generator(number) for number in range(4000)]
    weights = draw_branch_weights(5, 0.4, generators)
    assert weights.shape == (4000, 5, 2)
    torch.testing.assert_close(weights.mean((0, 2)), torch.ones(5), rtol=0.0, atol=0.04)
    left_out = (weights == 0).float().mean((0, 2))
    torch.testing.assert_close(left_out, torch.linspace(0, 0.4, 5), rtol=0.0, atol=0.03)
    # Attention and MLP of a block are left out independently.
    together = ((weights[:, 4] == 0).sum(1) == 2).float().mean()
    assert abs(together - 0.16) < 0.03


def test_a_generator_depends_on_its_whole_key() -> None:
    keys = [(0, 0, 1, 2), (0, 0, 2, 1), (0, 1, 0, 2), (1, 0, 1, 2), (0, 0, 1), (0, 0, 1, 2, 0)]
    drawn = {float(torch.rand(1, generator=seeded_generator(*key))) for key in keys}
    assert len(drawn) == len(keys)
    assert float(torch.rand(1, generator=seeded_generator(*keys[0]))) in drawn


def test_what_an_encoder_cannot_do_is_said() -> None:
    vit, pocket = build("vit", 64).image_encoder, build("pocket", 64).image_encoder
    other = dataclasses.replace(PHASE, image_size=96)
    check_encoder(pocket, [PHASE, other])
    check_encoder(vit, [PHASE, dataclasses.replace(PHASE, drop_path=0.1, checkpoint_activations=True)])
    with pytest.raises(ConfigError, match=r"image_size must be the same in all phases .* not 64 and 96"):
        check_encoder(vit, [PHASE, other])
    for name, value in (("drop_path", 0.1), ("checkpoint_activations", True)):
        with pytest.raises(ConfigError, match=rf"phases\[1\]\.{name} needs SAM's vision transformer .* not PocketEnc"):
            check_encoder(pocket, [PHASE, dataclasses.replace(PHASE, **{name: value})])
