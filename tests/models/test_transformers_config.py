"""Configurations: ours of transformers' and transformers' of ours, and what is refused."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import SamConfig

from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import VITS
from anymask.models.transformers_config import (
    read_config,
    read_pixel_statistics,
    write_config,
    write_processor_config,
)
from models.small_sam_model import small_config

SMALL = VitArchitecture(
    image_size=64,
    embed_dim=32,
    depth=3,
    num_heads=2,
    mlp_dim=128,
    window_size=3,
    global_blocks=(1,),
    decoder=DecoderArchitecture(embed_dim=64, mask_channels=8, num_heads=4, mlp_dim=48, iou_head_hidden_dim=24),
)


@st.composite
def architectures(draw):
    heads, depth, patch = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.sampled_from([8, 16]))
    embed_dim = heads * draw(st.integers(1, 40))
    blocks = draw(st.sets(st.integers(0, depth - 1), max_size=depth - 1))
    return VitArchitecture(
        image_size=patch * draw(st.integers(1, 6)),
        patch_size=patch,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=heads,
        mlp_dim=draw(st.integers(1, 300)),
        window_size=draw(st.integers(1, 9)),
        global_blocks=tuple(sorted(blocks)),
        qkv_bias=draw(st.booleans()),
        absolute_positions=draw(st.booleans()),
        relative_positions=draw(st.booleans()),
        decoder=DecoderArchitecture(
            embed_dim=16 * draw(st.integers(1, 3)),
            mask_channels=4 * draw(st.integers(1, 3)),
            depth=draw(st.integers(1, 3)),
            num_heads=draw(st.sampled_from([1, 2, 4])),
            mlp_dim=draw(st.integers(1, 50)),
            attention_downsample_rate=draw(st.sampled_from([1, 2, 4])),
            num_multimask_outputs=draw(st.integers(1, 4)),
            iou_head_hidden_dim=draw(st.integers(1, 40)),
        ),
    )


@settings(max_examples=40, deadline=None)
@given(architectures())
def test_sizes_survive_a_configuration_and_a_network(architecture):
    assert read_config(write_config(architecture), "a file") == architecture
    assert read_config(SamConfig(**write_config(architecture)).to_dict(), "a file") == architecture
    with torch.device("meta"):
        assert VitArchitecture.of(architecture.build()) == architecture


def test_a_configuration_of_transformers_is_read():
    assert read_config(small_config().to_dict(), "a file") == SMALL


def test_a_configuration_without_settings_is_vit_b():
    assert read_config({"model_type": "sam"}, "a file") == VITS["vit_b"]
    assert read_config(SamConfig().to_dict(), "a file") == VITS["vit_b"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model_type", "sam2", "describes a model of the type 'sam2': only SamModel's layout is read"),
        ("model_type", "sam_hq", "describes a model of the type 'sam_hq'"),
        ("model_type", None, "describes no model"),
        ("vision_config", [1], "vision_config must be a table of settings"),
        ("vision_config.hidden_act", "relu", "vision_config.hidden_act must be gelu, not 'relu'"),
        ("vision_config.num_channels", 4, "vision_config.num_channels must be 3, not 4"),
        ("vision_config.hidden_size", "32", "vision_config.hidden_size must be a whole number above 0, not '32'"),
        ("vision_config.hidden_size", 33, "hidden_size must be a multiple of num_attention_heads, 2, not 33"),
        ("vision_config.num_hidden_layers", 0, "num_hidden_layers must be a whole number above 0, not 0"),
        ("vision_config.image_size", [64, 32], r"image_size must be a whole number above 0, not \[64, 32\]"),
        ("vision_config.image_size", 72, "image_size must be a multiple of patch_size, 16, not 72"),
        ("vision_config.use_rel_pos", "no", "use_rel_pos must be true or false, not 'no'"),
        ("vision_config.global_attn_indexes", 2, "global_attn_indexes must be a list of whole numbers, not 2"),
        ("vision_config.mlp_ratio", -1, "mlp_ratio must be a number above 0, not -1"),
        ("vision_config.num_pos_feats", 16, "num_pos_feats must be half of output_channels, 64, not 16"),
        ("vision_config.layer_norm_eps", 1e-3, "vision_config.layer_norm_eps must be 1e-06, not 0.001"),
        ("prompt_encoder_config.image_size", 128, "image_size must be 64, as in vision_config, not 128"),
        ("prompt_encoder_config.num_point_embeddings", 5, "num_point_embeddings must be 4, not 5"),
        ("mask_decoder_config.hidden_size", 32, "mask_decoder_config.hidden_size must be 64, as in vision_config"),
        ("vision_config.output_channels", 36, "must be 36, as in vision_config"),
        ("prompt_encoder_config.mask_input_channels", 10, "mask_input_channels must be a multiple of 4, not 10"),
        ("mask_decoder_config.num_attention_heads", 64, r"num_attention_heads must be a divisor of 32 \(.*\), not 64"),
        (
            "mask_decoder_config.attention_downsample_rate",
            100,
            r"num_attention_heads must be a divisor of 0 \(.*\), not 4",
        ),
        ("mask_decoder_config.iou_head_depth", 2, "iou_head_depth must be 3, not 2"),
        ("mask_decoder_config.layer_norm_eps", 0.1, "layer_norm_eps must be 1e-05 or 1e-06, not 0.1"),
    ],
)
def test_what_cannot_be_built_is_named(path, value, message):
    config = copy.deepcopy(small_config().to_dict())
    config["vision_config"]["mlp_dim"] = None
    *sections, key = path.split(".")
    part = config[sections[0]] if sections else config
    part[key] = value
    with pytest.raises(CheckpointError, match="net/config.json.*" + message):
        read_config(config, "net/config.json")


@pytest.mark.parametrize("config", [None, [], "sam", {}, {"vision_config": {}}])
def test_what_is_no_configuration_is_named(config):
    with pytest.raises(CheckpointError, match=r"a file describes no model"):
        read_config(config, "a file")


def test_square_sizes_may_be_pairs():
    config = small_config().to_dict()
    config["vision_config"] |= {"image_size": [64, 64], "patch_size": [16, 16]}
    assert read_config(config, "a file") == SMALL


def test_colours_survive_an_image_processor_configuration():
    network = SMALL.build()
    mean, std = read_pixel_statistics(write_processor_config(network), "a file")
    assert torch.equal(torch.tensor(mean), network.pixel_mean.flatten())
    assert torch.equal(torch.tensor(std), network.pixel_std.flatten())
    assert write_processor_config(network)["image_mean"] == [0.485, 0.456, 0.406]
    assert read_pixel_statistics({}, "a file") == (pytest.approx(mean), pytest.approx(std))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "must be a table of settings"),
        ({"do_normalize": False}, "do_normalize must be true, not False"),
        ({"do_rescale": False}, "do_rescale must be true"),
        ({"rescale_factor": 1.0}, "rescale_factor must be 1/255, not 1.0"),
        ({"image_mean": 0.5}, "image_mean must be three numbers, not 0.5"),
        ({"image_std": [0.5, 0.5]}, "image_std must be three numbers"),
        ({"image_std": [0.5, 0.5, 0.0]}, "image_std must be above 0"),
    ],
)
def test_other_preparations_of_images_are_refused(config, message):
    with pytest.raises(CheckpointError, match=f"a file.*{message}"):
        read_pixel_statistics(config, "a file")
