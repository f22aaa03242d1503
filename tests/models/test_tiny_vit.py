"""MobileSAM's image encoder against a second implementation, and against the facts of the published checkpoint."""

import copy

import pytest
import torch
from torch import nn

from anymask.models.registry import build_model
from anymask.models.tiny_vit import Attention, ConvNorm, TinyViT
from models.tiny_vit_by_hand import tiny_vit_by_hand

SMALL = {"embed_dims": (8, 12, 20, 24), "depths": (2, 1, 2, 1), "num_heads": (1, 2, 5, 3), "num_classes": 7}


@torch.no_grad()
def randomise(encoder, seed):
    """Give every weight and every running statistic a size at which it matters."""
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in encoder.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if key.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif key.endswith("attention_biases"):
            tensor.copy_(noise)
        elif key.endswith(("bias", "running_mean")):
            tensor.copy_(0.3 * noise)
        elif tensor.ndim == 1:
            tensor.copy_(1 + 0.2 * noise)
        elif tensor.ndim > 1:
            tensor.copy_(noise * tensor[0].numel() ** -0.5)
    return encoder


def images(count, side, seed=1, dtype=torch.float64):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def small():
    return randomise(TinyViT(64, window_sizes=(1, 3, 2, 2), **SMALL), seed=0)


@pytest.mark.parametrize(
    ("side", "windows"),
    [
        (64, (1, 7, 14, 7)),  # one window, padded on all but one stage
        (64, (1, 3, 2, 5)),  # padded and exact windows
        (112, (1, 7, 7, 7)),  # exact windows, and one that is the whole map
        (96, (1, 5, 4, 3)),
    ],
)
@torch.no_grad()
def test_the_embedding_is_that_of_the_second_implementation(side, windows):
    encoder = randomise(TinyViT(side, window_sizes=windows, **SMALL), seed=side).double().eval()
    batch = images(2, side)
    expected = tiny_vit_by_hand(encoder.state_dict(), batch, SMALL["depths"], SMALL["num_heads"], windows)
    assert expected.shape == (2, 256, side // 16, side // 16)
    assert expected.std() > 0.5
    torch.testing.assert_close(encoder(batch), expected, atol=1e-11, rtol=0)


@torch.no_grad()
def test_the_embedding_of_the_published_sizes_is_that_of_the_second_implementation():
    encoder = randomise(TinyViT(), seed=3).eval()
    batch = images(1, 128, dtype=torch.float32)
    expected = tiny_vit_by_hand(encoder.state_dict(), batch, (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7))
    assert expected.std() > 0.5
    torch.testing.assert_close(encoder(batch), expected, atol=1e-4, rtol=0)


def published_tensors():
    """Keys and shapes of the checkpoint's encoder, from the description of the network."""
    tensors = {}

    def conv_norm(name, outputs, inputs, kernel):
        tensors[f"{name}.c.weight"] = (outputs, inputs, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{name}.bn.{part}"] = (outputs,)
        tensors[f"{name}.bn.num_batches_tracked"] = ()

    def affine(name, outputs, inputs=None):
        tensors[f"{name}.weight"] = (outputs,) if inputs is None else (outputs, inputs)
        tensors[f"{name}.bias"] = (outputs,)

    conv_norm("patch_embed.seq.0", 32, 3, 3)
    conv_norm("patch_embed.seq.2", 64, 32, 3)
    for block in range(2):
        name = f"layers.0.blocks.{block}"
        conv_norm(f"{name}.conv1", 256, 64, 1)
        conv_norm(f"{name}.conv2", 256, 1, 3)
        conv_norm(f"{name}.conv3", 64, 256, 1)
    for stage, dim, depth, heads, window in ((1, 128, 2, 4, 7), (2, 160, 6, 5, 14), (3, 320, 2, 10, 7)):
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            tensors[f"{name}.attn.attention_biases"] = (heads, window * window)
            affine(f"{name}.attn.norm", dim)
            affine(f"{name}.attn.qkv", 3 * dim, dim)
            affine(f"{name}.attn.proj", dim, dim)
            affine(f"{name}.mlp.norm", dim)
            affine(f"{name}.mlp.fc1", 4 * dim, dim)
            affine(f"{name}.mlp.fc2", dim, 4 * dim)
            conv_norm(f"{name}.local_conv", dim, 1, 3)
    for stage, inputs, outputs in ((0, 64, 128), (1, 128, 160), (2, 160, 320)):
        name = f"layers.{stage}.downsample"
        conv_norm(f"{name}.conv1", outputs, inputs, 1)
        conv_norm(f"{name}.conv2", outputs, 1, 3)
        conv_norm(f"{name}.conv3", outputs, outputs, 1)
    affine("norm_head", 320)
    affine("head", 1000, 320)
    tensors["neck.0.weight"] = (256, 320, 1, 1)
    affine("neck.1", 256)
    tensors["neck.2.weight"] = (256, 256, 3, 3)
    affine("neck.3", 256)
    return tensors


def test_the_state_dict_is_that_of_the_published_checkpoint():
    with torch.device("meta"):
        model = build_model("mobile_sam")
    tensors = {key: tuple(value.shape) for key, value in model.image_encoder.state_dict().items()}
    assert tensors == published_tensors()
    assert len(tensors) == 302
    assert len(model.state_dict()) == 302 + 137
    # The published description says 5 M for the encoder, which is without the classifier, and 3.9 M for the decoder.
    unused = sum(value.numel() for key, value in model.named_parameters() if ".head." in key or ".norm_head." in key)
    encoder = sum(value.numel() for value in model.image_encoder.parameters())
    assert (encoder, unused) == (6_065_532, 321_640)
    assert sum(value.numel() for value in model.parameters()) == 10_130_092


@torch.no_grad()
def test_other_sides_and_shapes(small):
    encoder = small.double().eval()
    for side in (16, 48, 80):
        assert encoder(images(1, side)).shape == (1, 256, side // 16, side // 16)
    wide = images(1, 64)[..., :48, :]
    expected = tiny_vit_by_hand(encoder.state_dict(), wide, SMALL["depths"], SMALL["num_heads"], (1, 3, 2, 2))
    torch.testing.assert_close(encoder(wide), expected, atol=1e-11, rtol=0)


@torch.no_grad()
def test_an_image_does_not_depend_on_its_neighbours(small):
    encoder, batch = small.double().eval(), images(3, 64)
    together = encoder(batch)
    for index in range(3):
        torch.testing.assert_close(encoder(batch[index : index + 1])[0], together[index], atol=1e-11, rtol=0)


def test_gradients_reach_all_but_the_unused_classifier(small):
    small.train()
    small(images(2, 64, dtype=torch.float32)).square().sum().backward()
    still = {name for name, value in small.named_parameters() if value.grad is None or not value.grad.any()}
    assert still == {"norm_head.weight", "norm_head.bias", "head.weight", "head.bias"}


def test_folded_norms_have_the_gradients_of_unfolded_ones():
    torch.manual_seed(0)
    layer = randomise(ConvNorm(6, 6, kernel=3, stride=2, groups=6), seed=1).double().eval()
    other = copy.deepcopy(layer)
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    expected = other.bn(other.c(x))
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=0)
    weights = torch.randn_like(expected)
    (layer(x) * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, parameter), reference in zip(layer.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, reference.grad, atol=1e-10, rtol=0, msg=name)


def test_training_updates_the_running_statistics():
    layer = ConvNorm(3, 4).train()
    layer(torch.randn(2, 3, 5, 5) + 3)
    assert layer.bn.num_batches_tracked == 1
    assert layer.bn.running_mean.any()


class Adapter(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.weight = base, base.weight
        self.delta = nn.Conv2d(base.in_channels, base.out_channels, 1, bias=False)

    def forward(self, x):
        return self.base(x) + self.delta(x)


@torch.no_grad()
def test_an_adapter_in_the_place_of_a_convolution_is_called():
    layer = randomise(ConvNorm(3, 4), seed=2).eval()
    x = torch.randn(1, 3, 5, 5)
    before = layer(x)
    layer.c = Adapter(layer.c)
    torch.testing.assert_close(layer(x), layer.bn(layer.c(x)))
    assert (layer(x) - before).abs().max() > 1e-2


@torch.no_grad()
def test_weights_that_change_after_evaluation_began_count(small):
    batch = images(1, 64, dtype=torch.float32)
    small.eval()
    before = small(batch)
    for name in ("layers.1.blocks.0.attn.attention_biases", "layers.0.blocks.1.conv2.bn.running_var"):
        state = small.state_dict()
        state[name] = state[name] + torch.linspace(1, 2, state[name].numel()).view_as(state[name])
        small.load_state_dict(state)
        after = small(batch)
        assert (after - before).abs().max() > 1e-3, name
        before = after


def test_layers_are_named_from_the_pixels_upwards(small):
    layers = small.ordered_layers()
    names = {id(value): name for name, value in small.named_parameters()}
    named = [[names[id(value)] for value in layer] for layer in layers]
    assert [layer[0].rsplit(".", 3)[0] for layer in named[:2]] == ["patch_embed.seq", "layers.0.blocks.0"]
    assert len(named) == 1 + sum(SMALL["depths"])
    assert "layers.0.downsample.conv1.c.weight" in named[2]
    everything = [name for layer in named for name in layer]
    assert len(set(everything)) == len(everything)
    assert set(names.values()) - set(everything) == {
        name for name in names.values() if name.startswith(("neck.", "head.", "norm_head."))
    }


@torch.no_grad()
def test_bfloat16_stays_close(small):
    batch = images(1, 64, dtype=torch.float32)
    expected = small.eval()(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = small(batch).float()
    distance = (found - expected).norm() / expected.norm()
    assert 1e-4 < distance < 0.05


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide the width 8"):
        Attention(8, 3, 7)
