"""Weights to begin with: whole models, models of another side, encoders alone, masked autoencoders."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from anymask.models.checkpoints import CheckpointError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.registry import assemble, build_model
from anymask.models.sam import Sam
from anymask.train.initialise import load_initial

WIDTH, DEPTH = 32, 2


def plain(side: int = 64, width: int = WIDTH, depth: int = DEPTH, seed: int = 0) -> Sam:
    """SAM with a small vision transformer whose last block is global."""
    torch.manual_seed(seed)
    encoder = ImageEncoderViT(
        side, embed_dim=width, depth=depth, num_heads=2, window_size=3, global_attn_indexes=(depth - 1,)
    )
    return randomise(assemble(encoder, side))


def pocket(side: int = 64, seed: int = 0) -> Sam:
    torch.manual_seed(seed)
    return randomise(assemble(PocketEncoder(side, widths=(8, 16, 32), depths=(1, 1, 1), heads=2), side))


@torch.no_grad()
def randomise(model: Sam) -> Sam:
    for parameter in model.parameters():
        parameter.normal_(std=0.1)
    return model


def save(state: dict[str, Tensor], path: Path) -> Path:
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def copies(model: Sam) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.fixture
def mae_file(tmp_path: Path) -> Path:
    """What ``save_pretrained`` writes for a masked autoencoder of our small transformer's size."""
    torch.manual_seed(5)
    config = ViTMAEConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=2,
        intermediate_size=4 * WIDTH,
        image_size=48,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    return save(ViTMAEForPreTraining(config).state_dict(), tmp_path / "mae.safetensors")


@pytest.mark.parametrize("build", [plain, pocket])
def test_a_whole_model_comes_back(build, tmp_path: Path) -> None:
    path = save(build(seed=1).state_dict(), tmp_path / "mine.safetensors")
    model = build(seed=2)
    assert load_initial(model, path, "mine") == f"loaded all of mine from {path}"
    for key, value in build(seed=1).state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_a_model_of_another_side_is_interpolated(tmp_path: Path) -> None:
    small = plain(64, seed=1)
    path = save(small.state_dict(), tmp_path / "small.safetensors")
    model = plain(160, seed=2)
    assert (
        load_initial(model, path, "mine") == f"loaded all of mine from {path} (positions interpolated from 4² to 10²)"
    )
    for key, value in small.state_dict().items():
        if value.shape == model.state_dict()[key].shape:
            assert torch.equal(model.state_dict()[key], value), key
    # Interpolated to another side and back, positions are roughly the same.
    back = plain(64, seed=3)
    load_initial(back, save(model.state_dict(), tmp_path / "large.safetensors"), "mine")
    first, last = small.image_encoder.pos_embed, back.image_encoder.pos_embed
    assert (first - last).norm() < 0.35 * first.norm()


def test_a_masked_autoencoder_fills_the_blocks_and_nothing_else(mae_file: Path) -> None:
    model = plain(160)
    before = copies(model)
    line = load_initial(model, mae_file, "mine")
    assert "(positions interpolated from 3² to 10², relative positions zero)" in line
    assert line.endswith("neck, prompt encoder and mask decoder stay as they were")
    after = model.state_dict()
    for key, value in before.items():
        encoder = key.startswith("image_encoder.") and not key.startswith("image_encoder.neck.")
        assert torch.equal(after[key], value) is not encoder, key
    assert all(value.count_nonzero() == 0 for key, value in after.items() if ".rel_pos_" in key)


def test_the_papers_file_is_a_pickle_under_model(tmp_path: Path) -> None:
    """The published files hold nothing but tensors under "model"."""
    source = plain(48, seed=4).image_encoder
    state = {
        key.replace("mlp.lin", "mlp.fc"): value
        for key, value in source.state_dict().items()
        if not key.startswith("neck.") and ".rel_pos_" not in key
    }
    positions = torch.cat([torch.zeros(1, 1, WIDTH), state["pos_embed"].flatten(1, 2)], dim=1)
    state |= {"cls_token": torch.zeros(1, 1, WIDTH), "pos_embed": positions, "norm.weight": torch.ones(WIDTH)}
    torch.save({"model": state}, tmp_path / "mae_pretrain.pth")
    model = plain(48)
    line = load_initial(model, tmp_path / "mae_pretrain.pth", "mine")
    assert "(relative positions zero)" in line
    for key, value in source.state_dict().items():
        if not key.startswith("neck.") and ".rel_pos_" not in key:
            assert torch.equal(model.image_encoder.state_dict()[key], value), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("vit.layers.1.mlp.fc2.bias"),
            r"missing \(first image_encoder\.blocks\.1\.mlp\.lin2\.b",
        ),
        (lambda state: state.update({"vit.pooler.weight": torch.zeros(1)}), r"unknown \(first .*vit\.pooler\.weight"),
        (lambda state: state.update({"vit.layernorm_x": torch.zeros(1)}), r"unknown \(first .*vit\.layernorm_x"),
        (
            lambda state: state.update({"vit.layers.0.mlp.fc1.bias": torch.zeros(7)}),
            r"image_encoder\.blocks\.0\.mlp\.lin1\.bias is \(7,\), wanted \(128,\)",
        ),
    ],
)
def test_a_masked_autoencoder_is_read_strictly(mae_file: Path, tmp_path: Path, change, message: str) -> None:
    state = load_file(mae_file)
    change(state)
    model = plain()
    before = copies(model)
    with pytest.raises(CheckpointError, match=message):
        load_initial(model, save(state, tmp_path / "changed.safetensors"), "mine")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())


def test_a_masked_autoencoder_of_another_size_or_kind(mae_file: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"width 32 and depth 2, the size of no known.*deep has width 32 and depth 3"
    ):
        load_initial(plain(depth=3), mae_file, "deep")
    with pytest.raises(CheckpointError, match="but the image encoder of pocket is none"):
        load_initial(pocket(), mae_file, "pocket")


@pytest.mark.parametrize("side", [64, 160])
def test_a_pretrained_transformer_leaves_the_rest(side: int, tmp_path: Path) -> None:
    source = plain(64, seed=1)
    state = {
        key: value for key, value in source.state_dict().items() if re.match(r"image_encoder\.(?!neck|.*rel_pos)", key)
    }
    path = save(state, tmp_path / "encoder.safetensors")
    model = plain(side, seed=2)
    before = copies(model)
    line = load_initial(model, path, "mine")
    assert line.endswith("; neck, prompt encoder and mask decoder stay as they were")
    assert ("4² to 10²" in line) == (side == 160)
    for key, value in model.state_dict().items():
        if ".rel_pos_" in key:
            assert value.count_nonzero() == 0
        elif key not in state:
            assert torch.equal(value, before[key]), key
        elif value.shape == state[key].shape:
            assert torch.equal(value, state[key]), key


def test_a_pretrained_convolutional_encoder_must_be_whole(tmp_path: Path) -> None:
    state = {key: value for key, value in pocket(seed=1).state_dict().items() if key.startswith("image_encoder.")}
    model = pocket(seed=2)
    line = load_initial(model, save(state, tmp_path / "encoder.safetensors"), "pocket")
    assert line.endswith("; prompt encoder and mask decoder stay as they were")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())
    del state["image_encoder.neck.1.weight"]
    with pytest.raises(CheckpointError, match=r"1 tensors are missing \(first image_encoder\.neck\.1\.weight\)"):
        load_initial(model, save(state, tmp_path / "encoder.safetensors"), "pocket")


def test_another_members_checkpoint_is_told_whose_it_is(tmp_path: Path) -> None:
    path = save(build_model("pocket").state_dict(), tmp_path / "pocket.safetensors")
    with pytest.raises(CheckpointError, match=r"is not a checkpoint of vit_b: .*; it seems to be made for pocket"):
        load_initial(plain(), path, "vit_b")
    encoder = {key: value for key, value in build_model("pocket").state_dict().items() if key.startswith("image_enc")}
    with pytest.raises(CheckpointError, match="holds the image encoder of pocket, not of vit_b; train pocket from it"):
        load_initial(plain(), save(encoder, path), "vit_b")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none\.pth"):
        load_initial(pocket(), tmp_path / "none.pth", "pocket")
