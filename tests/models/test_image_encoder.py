"""SAM's image encoder in training: stochastic depth, recomputed blocks, layers in order."""

import pytest
import torch
from torch import Tensor

from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.pocket_encoder import PocketEncoder


@pytest.fixture
def encoder() -> ImageEncoderViT:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        64, embed_dim=16, depth=3, num_heads=2, out_chans=8, window_size=3, global_attn_indexes=(1,)
    )
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(std=0.3)
    return encoder


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_branches_of_weight_one_are_the_plain_encoder(encoder: ImageEncoderViT, images: Tensor) -> None:
    torch.testing.assert_close(encoder(images, torch.ones(2, 3, 2)), encoder(images))


def test_branches_of_weight_zero_leave_the_patches_to_the_neck(encoder: ImageEncoderViT, images: Tensor) -> None:
    patches = encoder.patch_embed(images) + encoder.pos_embed
    expected = encoder.neck(patches.permute(0, 3, 1, 2))
    torch.testing.assert_close(encoder(images, torch.zeros(2, 3, 2)), expected)


@pytest.mark.parametrize("branch", [0, 1], ids=["attention", "mlp"])
def test_a_branch_is_left_out_for_one_image_alone(encoder: ImageEncoderViT, images: Tensor, branch: int) -> None:
    plain = encoder(images)
    weights = torch.ones(2, 3, 2)
    weights[1, 2, branch] = 0
    left_out = encoder(images, weights)
    torch.testing.assert_close(left_out[0], plain[0])
    assert (left_out[1] - plain[1]).abs().max() > 1e-3
    block = encoder.blocks[2]
    # A branch whose last layer is zero adds nothing, whatever its weight.
    last = block.attn.proj if branch == 0 else block.mlp.lin2
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    torch.testing.assert_close(encoder(images)[1], left_out[1])


@pytest.mark.parametrize("drop", [False, True], ids=["whole", "stochastic depth"])
def test_recomputed_blocks_have_the_same_gradients(encoder: ImageEncoderViT, images: Tensor, drop: bool) -> None:
    weights = torch.tensor([[[1.0, 0], [2, 1], [0, 3]], [[1, 1], [1, 0], [2, 2]]]) if drop else None
    gradients = []
    for recompute in (False, True):
        encoder.zero_grad()
        encoder.checkpoint_activations = recompute
        output = encoder(images, weights)
        output.square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None])
    assert len(gradients[0]) == sum(1 for _ in encoder.parameters())
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["vit", "pocket"])
def test_layers_hold_everything_below_the_neck_once(encoder: ImageEncoderViT, kind: str) -> None:
    network = encoder if kind == "vit" else PocketEncoder(64, widths=(8, 8, 16), depths=(1, 2, 1), heads=2)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers = [[names[id(parameter)] for parameter in layer] for layer in network.ordered_layers()]
    listed = [name for layer in layers for name in layer]
    assert len(listed) == len(set(listed))
    above = {name.split(".")[0] for name in set(names.values()) - set(listed)}
    if kind == "vit":
        assert above == {"neck"}
        assert sorted(layers[0]) == ["patch_embed.proj.bias", "patch_embed.proj.weight", "pos_embed"]
        assert [{name.split(".")[1] for name in layer} for layer in layers[1:]] == [{"0"}, {"1"}, {"2"}]
    else:
        assert above == {"detail", "merge", "neck"}
        assert [layer[0].split(".")[0] for layer in layers] == ["stem", "fine", *["middle"] * 3, *["coarse"] * 2]
