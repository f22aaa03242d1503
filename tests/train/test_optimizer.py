"""Parameter groups: what is trained, and how fast."""

from collections.abc import Callable

import pytest
import torch
from tiny_run import build
from torch import nn

from anymask.models.sam import Sam
from anymask.train.config import ConfigError, PhaseConfig
from anymask.train.dense import DenseObjective
from anymask.train.optimizer import build_optimizer, parameter_groups


def grouped(model: Sam, phase: PhaseConfig) -> dict[str, tuple[float, float]]:
    """The (rate factor, weight decay) of each trained parameter, by name."""
    dense = DenseObjective(model.prompt_encoder, model.mask_decoder)
    names = {id(value): name for name, value in model.named_parameters()}
    names |= {id(value): name for name, value in dense.named_parameters() if name.startswith(("place", "query"))}
    found: dict[str, tuple[float, float]] = {}
    for group in parameter_groups(model.image_encoder, dense, phase):
        for value in group["params"]:
            assert names[id(value)] not in found
            found[names[id(value)]] = (group["factor"], group["weight_decay"])
    return found


def interactive(**changes: object) -> PhaseConfig:
    return PhaseConfig("interactive", 10, **changes)  # type: ignore[arg-type]


def test_rates_fall_from_layer_to_layer() -> None:
    found = grouped(build("vit", 64), interactive(layer_decay=0.8, encoder_rate=0.5))
    factors = {name: factor for name, (factor, _) in found.items()}
    assert factors["image_encoder.neck.0.weight"] == 0.5
    assert factors["image_encoder.blocks.1.mlp.lin1.weight"] == pytest.approx(0.5 * 0.8)
    assert factors["image_encoder.blocks.0.attn.rel_pos_h"] == pytest.approx(0.5 * 0.8**2)
    assert factors["image_encoder.patch_embed.proj.weight"] == pytest.approx(0.5 * 0.8**3)
    assert factors["image_encoder.pos_embed"] == pytest.approx(0.5 * 0.8**3)
    assert {factor for name, factor in factors.items() if not name.startswith("image_encoder.")} == {1.0}


@pytest.mark.parametrize("kind", ["vit", "pocket"])
def test_everything_is_in_one_group_and_only_matrices_decay(kind: str) -> None:
    model = build(kind, 64)
    found = grouped(model, interactive(weight_decay=0.3, layer_decay=0.9))
    assert set(found) == {name for name, _ in model.named_parameters()} | {
        "place.weight",
        "place.bias",
        "query.weight",
        "query.bias",
    }
    decayed = {name for name, (_, decay) in found.items() if decay == 0.3}
    assert {decay for _, decay in found.values()} == {0.0, 0.3}
    assert all(value.ndim > 1 for name, value in model.named_parameters() if name in decayed)
    for spared in ("norm", "bias", "pos_embed", "iou_token", "_embed.weight", "point_embeddings", "mask_tokens"):
        assert not [name for name in decayed if spared in name and "pe_layer" not in name]
    assert "mask_decoder.transformer.layers.0.mlp.lin1.weight" in decayed


def test_frozen_parts_are_in_no_group() -> None:
    model = build("vit", 64)
    assert {name.split(".")[0] for name in grouped(model, interactive(encoder_rate=0.0))} == {
        "prompt_encoder",
        "mask_decoder",
        "place",
        "query",
    }
    frozen = interactive(freeze=("prompt_encoder", "mask_decoder"))
    assert {name.split(".")[0] for name in grouped(model, frozen)} == {"image_encoder", "place", "query"}
    dense = {name.rsplit(".", 2)[0] for name in grouped(model, PhaseConfig("dense", 10, freeze=("image_encoder",)))}
    assert all(name.startswith(("mask_decoder.output_", "place", "query")) for name in dense)


def test_an_encoder_without_layers_has_one_rate(build_tiny: Callable[..., Sam]) -> None:
    model = build_tiny(64)
    model.image_encoder = nn.Sequential(nn.Conv2d(3, 32, 16, stride=16))
    found = grouped(model, interactive(encoder_rate=0.5))
    assert found["image_encoder.0.weight"] == (0.5, 0.1)
    with pytest.raises(ConfigError, match="layer_decay needs an encoder that names its layers; Sequential does not"):
        grouped(model, interactive(layer_decay=0.9))


def test_the_optimiser_has_the_phase_s_settings(build_tiny: Callable[..., Sam]) -> None:
    model = build_tiny(64)
    dense = DenseObjective(model.prompt_encoder, model.mask_decoder)
    optimizer = build_optimizer(model.image_encoder, dense, interactive(learning_rate=0.01, betas=(0.8, 0.9)))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {(group["lr"], group["betas"]) for group in optimizer.param_groups} == {(0.01, (0.8, 0.9))}
