"""Adapters inside plain weights, against adapters as modules around them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from anymask.models.sam import Sam
from anymask.models.transformer import Attention, TwoWayTransformer
from anymask.train.adapters import LowRankAdapters, attention_weights


class Around(nn.Module):
    """The usual form: a module that changes the weight whenever it is asked for."""

    def __init__(self, down: Tensor, up: Tensor, scale: float) -> None:
        super().__init__()
        self.down, self.up, self.scale = nn.Parameter(down.clone()), nn.Parameter(up.clone()), scale

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * self.up @ self.down


def test_training_is_that_of_adapters_around_the_layers() -> None:
    torch.manual_seed(0)
    plain = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64)
    wrapped = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64)
    wrapped.load_state_dict(plain.state_dict())
    for network in (plain, wrapped):
        network.requires_grad_(False)
    weights = attention_weights(plain)
    assert len(weights) == 4 * 7
    for weight in weights.values():
        weight.requires_grad_(True)
    adapters = LowRankAdapters(weights, 3, 0.5, torch.Generator().manual_seed(1))
    around = []
    for name in weights:
        layer = wrapped.get_submodule(name.removesuffix(".weight"))
        key = name.replace(".", "/")
        around.append(Around(adapters.down[key].detach(), adapters.up[key].detach(), 0.5))
        parametrize.register_parametrization(layer, "weight", around[-1])
    inner = torch.optim.SGD(adapters.parameters(), lr=0.01)
    outer = torch.optim.SGD([value for module in around for value in (module.down, module.up)], lr=0.01)
    image, position, prompt = torch.randn(2, 32, 4, 4), torch.randn(1, 32, 4, 4), torch.randn(2, 3, 32)
    for _ in range(4):
        losses = []
        for network, optimizer in ((plain, inner), (wrapped, outer)):
            optimizer.zero_grad()
            tokens, keys = network(image, position, prompt)
            loss = (tokens - 1).abs().sum() + (keys - 1).abs().sum()
            torch.autograd.backward(loss)
            losses.append(float(loss.detach()))
            if network is plain:
                adapters.take_gradients()
            optimizer.step()
            if network is plain:
                adapters.write()
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    changed = 0
    for name, weight in weights.items():
        layer = wrapped.get_submodule(name.removesuffix(".weight"))
        torch.testing.assert_close(weight, layer.weight, rtol=1e-3, atol=1e-4)
        changed += bool((weight - adapters.base[name]).abs().max() > 1e-2)
    assert changed > 10


def test_layers_stay_plain_and_keep_their_fast_path(build_tiny: Callable[..., Sam]) -> None:
    network = build_tiny(64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapters = LowRankAdapters(attention_weights(network), 2, 1.0, torch.Generator().manual_seed(0))
    adapters.write()
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    layer = network.mask_decoder.transformer.final_attn_token_to_image
    assert isinstance(layer, Attention)
    assert layer.absorbs(2)
    assert not any(name.startswith("prompt_encoder") for name in adapters.weights)
    assert any(name.startswith("image_encoder.coarse") for name in adapters.weights)


def test_factors_survive_a_checkpoint(build_tiny: Callable[..., Sam]) -> None:
    weights = attention_weights(build_tiny(64))
    first = LowRankAdapters(weights, 2, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for up in first.up.values():
            up.add_(1)
    second = LowRankAdapters(weights, 2, 1.0, torch.Generator().manual_seed(5))
    second.load_state_dict(first.state_dict())
    first.write()
    written = {name: weight.detach().clone() for name, weight in weights.items()}
    second.write()
    assert all(torch.equal(weight, written[name]) for name, weight in weights.items())
