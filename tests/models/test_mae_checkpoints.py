"""Masked-autoencoder checkpoints, against the ViTMAE of transformers."""

import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from anymask.models.checkpoints import CheckpointError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.mae_checkpoints import (
    fit_to_encoder,
    is_mae_checkpoint,
    read_mae_checkpoint,
    resample_patch_filters,
)
from anymask.models.registry import build_model

WIDTH, DEPTH, GRID = 32, 3, 4


def reference(patch: int = 16) -> ViTMAEForPreTraining:
    torch.manual_seed(0)
    built = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=WIDTH,
            num_hidden_layers=DEPTH,
            num_attention_heads=4,
            intermediate_size=4 * WIDTH,
            image_size=GRID * patch,
            patch_size=patch,
            decoder_hidden_size=16,
            decoder_num_hidden_layers=1,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=32,
            layer_norm_eps=1e-6,
        )
    ).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(std=0.2)
    return built


def saved_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The keys that ViTMAE checkpoints on the hub have."""
    renames = [
        (r"vit\.layers", "vit.encoder.layer"),
        (r"decoder\.decoder_layers", "decoder.decoder_layers"),
        (r"attention\.q_proj", "attention.attention.query"),
        (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ]
    renamed = {}
    for key, value in state.items():
        for pattern, name in renames:
            key = re.sub(pattern, name, key)
        renamed[key] = value
    return renamed


def papers_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The keys of the paper's own code, with its joint query, key and value."""
    kept = {
        "cls_token": state["vit.embeddings.cls_token"],
        "pos_embed": state["vit.embeddings.position_embeddings"],
        "patch_embed.proj.weight": state["vit.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": state["vit.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": state["vit.layernorm.weight"],
        "norm.bias": state["vit.layernorm.bias"],
        "mask_token": state["decoder.mask_token"],
        "decoder_pos_embed": state["decoder.decoder_pos_embed"],
        "decoder_embed.weight": state["decoder.decoder_embed.weight"],
        "decoder_blocks.0.norm1.weight": state["decoder.decoder_norm.weight"],
    }
    for index in range(DEPTH):
        old, new = f"vit.layers.{index}.", f"blocks.{index}."
        for end in ("weight", "bias"):
            kept[f"{new}norm1.{end}"] = state[f"{old}layernorm_before.{end}"]
            kept[f"{new}norm2.{end}"] = state[f"{old}layernorm_after.{end}"]
            kept[f"{new}attn.qkv.{end}"] = torch.cat([state[f"{old}attention.{name}_proj.{end}"] for name in "qkv"])
            kept[f"{new}attn.proj.{end}"] = state[f"{old}attention.o_proj.{end}"]
            kept[f"{new}mlp.fc1.{end}"] = state[f"{old}mlp.fc1.{end}"]
            kept[f"{new}mlp.fc2.{end}"] = state[f"{old}mlp.fc2.{end}"]
    return kept


def without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What ViTMAEModel alone saves."""
    return {key.removeprefix("vit."): value for key, value in state.items() if key.startswith("vit.")}


LAYOUTS = {
    "paper": papers_keys,
    "hub": saved_keys,
    "hub, encoder alone": lambda state: without_prefix(saved_keys(state)),
    "transformers 5": dict,
    "transformers 5, encoder alone": without_prefix,
}


def our_encoder(side: int = GRID * 16, **options: object) -> ImageEncoderViT:
    torch.manual_seed(1)
    settings = {"window_size": 0, "use_rel_pos": True, "out_chans": 8} | options
    return ImageEncoderViT(side, embed_dim=WIDTH, depth=DEPTH, num_heads=4, **settings).eval()


def transformed(encoder: ImageEncoderViT, images: Tensor) -> Tensor:
    """What comes out of the last block, ``[B, H·W, D]``."""
    caught: list[Tensor] = []
    hook = encoder.blocks[-1].register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    encoder(images)
    hook.remove()
    return caught[0].flatten(1, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_features_are_those_of_transformers_without_the_class_token(layout: str) -> None:
    theirs = reference()
    state = LAYOUTS[layout](theirs.state_dict())
    assert is_mae_checkpoint(state)
    plain = read_mae_checkpoint(state, "a file")
    assert (plain.width, plain.depth, plain.grid, plain.patch_size) == (WIDTH, DEPTH, GRID, 16)
    ours = our_encoder()
    missing, unexpected = ours.load_state_dict(fit_to_encoder(plain, ours, "small", "a file"), strict=False)
    assert unexpected == []
    assert {key.split(".")[0] for key in missing} == {"neck"}

    images = torch.randn(2, 3, GRID * 16, GRID * 16)
    hidden = theirs.vit.embeddings.patch_embeddings(images) + theirs.vit.embeddings.position_embeddings[:, 1:]
    for layer in theirs.vit.layers:
        output = layer(hidden)
        hidden = output[0] if isinstance(output, tuple) else output
    torch.testing.assert_close(transformed(ours, images), hidden, atol=1e-5, rtol=1e-4)


def test_relative_positions_are_zero_and_positions_are_interpolated() -> None:
    plain = read_mae_checkpoint(papers_keys(reference().state_dict()), "a file")
    encoder = our_encoder(160, window_size=3, global_attn_indexes=(2,))
    fitted = fit_to_encoder(plain, encoder, "small", "a file")
    assert fitted["pos_embed"].shape == (1, 10, 10, WIDTH)
    corner = plain.state["pos_embed"][0, 0, 0]
    assert (fitted["pos_embed"][0, 0, 0] - corner).norm() < 0.3 * corner.norm()
    tables = {key: value for key, value in fitted.items() if "rel_pos" in key}
    assert len(tables) == 2 * DEPTH
    assert all(value.count_nonzero() == 0 for value in tables.values())
    assert fitted["blocks.0.attn.rel_pos_h"].shape == (5, 8)
    assert fitted["blocks.2.attn.rel_pos_h"].shape == (19, 8)


@torch.no_grad()
def test_resampled_filters_give_an_enlarged_patch_the_same_token() -> None:
    weight, patches = torch.randn(5, 3, 14, 14), torch.rand(7, 3, 14, 14)
    enlarged = F.interpolate(patches, size=(16, 16), mode="bicubic", align_corners=False)
    tokens = F.conv2d(enlarged, resample_patch_filters(weight, 16))
    torch.testing.assert_close(tokens, F.conv2d(patches, weight), atol=1e-4, rtol=1e-4)
    assert resample_patch_filters(weight, 14) is weight


def test_patches_of_14_pixels_become_16() -> None:
    plain = read_mae_checkpoint(papers_keys(reference(patch=14).state_dict()), "a file")
    assert plain.patch_size == 14
    fitted = fit_to_encoder(plain, our_encoder(), "small", "a file")
    assert fitted["patch_embed.proj.weight"].shape == (WIDTH, 3, 16, 16)


def test_another_size_is_told_whose_it_is() -> None:
    state = papers_keys(reference().state_dict())
    with pytest.raises(CheckpointError, match="width 32 and depth 3, the size of no known model; vit_b has width 768"):
        fit_to_encoder(
            read_mae_checkpoint(state, "mae.pth"),
            ImageEncoderViT(64, embed_dim=768, depth=1, num_heads=12),
            "vit_b",
            "mae.pth",
        )
    shallow = {key: value for key, value in state.items() if not key.startswith("blocks.2.")}
    with pytest.raises(CheckpointError, match=r"mae\.pth is .* width 32 and depth 2.*small has width 32 and depth 3"):
        fit_to_encoder(read_mae_checkpoint(shallow, "mae.pth"), our_encoder(), "small", "mae.pth")


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_every_member_with_a_plain_transformer_is_known_by_its_size(name: str) -> None:
    with torch.device("meta"):
        encoder = build_model(name, 224).image_encoder
    state = {key: value for key, value in encoder.state_dict().items() if not key.startswith("neck.")}
    state |= {
        "cls_token": torch.zeros(1),
        "pos_embed": state["pos_embed"].new_zeros(1, 197, state["pos_embed"].shape[-1]),
    }
    plain = read_mae_checkpoint(state, "a file")
    assert plain.model_name == name


def test_foreign_keys_keep_their_names_and_classifiers_are_left_out() -> None:
    state = papers_keys(reference().state_dict()) | {
        "head.weight": torch.zeros(1),
        "fc_norm.bias": torch.zeros(1),
        "blocks.0.ls1.gamma": torch.zeros(1),
        "dist_token": torch.zeros(1),
    }
    translated = read_mae_checkpoint(state, "a file").state
    assert "blocks.0.ls1.gamma" in translated
    assert "dist_token" in translated
    assert not any(key.startswith(("head", "fc_norm", "norm", "decoder", "mask_token", "cls")) for key in translated)


def test_a_query_without_its_key_is_left_under_its_name() -> None:
    state = dict(reference().state_dict())
    del state["vit.layers.1.attention.k_proj.weight"]
    translated = read_mae_checkpoint(state, "a file").state
    assert "blocks.1.attn.qkv.weight" not in translated
    assert "vit.layers.1.attention.q_proj.weight" in translated


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pos_embed", torch.zeros(1, 16, WIDTH), r"positions of shape \(1, 16, 32\), wanted \(1, 1 \+ rows², width\)"),
        ("pos_embed", torch.zeros(17, WIDTH), r"positions of shape \(17, 32\)"),
        ("pos_embed", torch.zeros(1, 1, WIDTH), r"positions of shape \(1, 1, 32\)"),
        ("pos_embed", None, "positions missing"),
        ("patch_embed.proj.weight", torch.zeros(WIDTH, 768), r"patch filters of shape \(32, 768\)"),
        ("patch_embed.proj.weight", torch.zeros(WIDTH, 3, 16, 8), r"patch filters of shape \(32, 3, 16, 8\)"),
    ],
)
def test_grids_that_are_none_are_errors(key: str, value: Tensor | None, message: str) -> None:
    state = papers_keys(reference().state_dict())
    if value is None:
        del state[key]
    else:
        state[key] = value
    with pytest.raises(CheckpointError, match=rf"mae\.pth has {message}"):
        read_mae_checkpoint(state, "mae.pth")


def test_sams_own_checkpoints_are_not_taken_for_it() -> None:
    with torch.device("meta"):
        model = build_model("vit_b", 64)
    assert not is_mae_checkpoint(model.state_dict())
    assert not is_mae_checkpoint(model.image_encoder.state_dict())
