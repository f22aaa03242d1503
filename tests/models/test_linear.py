"""Linear layers by oneDNN against PyTorch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.models import linear as module
from anymask.models.linear import Activation, add_linear, apply_linear, is_plain, linear

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"none": lambda y: y, "relu": F.relu, "gelu": F.gelu}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def expect(x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
    """In float64, from the very numbers that were given."""
    product = x.double() @ weight.double().T
    return ACTIVATIONS[activation](product if bias is None else product + bias.double())


@pytest.fixture
def without_gradients() -> object:
    with torch.no_grad():
        yield


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of oneDNN's operators, which still compute; skips where they are missing."""
    if not module._onednn_is_there():
        pytest.skip("this PyTorch has no oneDNN")
    calls: list[str] = []
    real = module._takes_onednn

    def record(*tensors: Tensor | None) -> bool:
        taken = real(*tensors)
        calls.append("oneDNN" if taken else "PyTorch")
        return taken

    monkeypatch.setattr(module, "_takes_onednn", record)
    return calls


@pytest.mark.usefixtures("without_gradients")
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (2, 3, 17), (2, 1, 4, 33), (129, 64)], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)], ids=str)
def test_equals_the_product_in_float64(
    shape: tuple[int, ...], bias: bool, activation: Activation, dtype: torch.dtype, tolerance: float
) -> None:
    x, weight = draw(*shape).to(dtype), draw(7, shape[-1], seed=1).to(dtype)
    added = draw(7, seed=2).to(dtype) if bias else None
    product = linear(x, weight, added, activation)
    assert product.dtype == dtype
    torch.testing.assert_close(product.double(), expect(x, weight, added, activation), atol=tolerance, rtol=tolerance)


@pytest.mark.usefixtures("without_gradients")
def test_takes_what_does_not_lie_side_by_side(onednn: list[str]) -> None:
    x, weight = draw(9, 20).float().T, draw(9, 30, seed=1).float()[:, ::2].T
    torch.testing.assert_close(linear(x, weight), x @ weight.T)
    rows = draw(4, 6, 9).float()[:, ::2, 1:8]
    torch.testing.assert_close(linear(rows, weight[:, :7]), rows @ weight[:, :7].T)
    assert onednn == ["oneDNN", "oneDNN"]


@pytest.mark.usefixtures("without_gradients")
@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (torch.randn(3), torch.randn(2, 3)),
        (torch.randn(0, 3), torch.randn(2, 3)),
        (torch.randn(4, 3).double(), torch.randn(2, 3).double()),
        (torch.randn(4, 3).half(), torch.randn(2, 3).half()),
    ],
    ids=["vector", "empty", "float64", "float16"],
)
def test_leaves_other_inputs_to_pytorch(x: Tensor, weight: Tensor, onednn: list[str]) -> None:
    torch.testing.assert_close(linear(x, weight, activation="relu"), F.relu(F.linear(x, weight)))
    assert onednn == ["PyTorch"]


@pytest.mark.usefixtures("without_gradients")
def test_types_that_do_not_fit_are_an_error_as_in_pytorch() -> None:
    with pytest.raises(RuntimeError):
        linear(torch.randn(4, 3), torch.randn(2, 3).bfloat16())


@pytest.mark.usefixtures("without_gradients")
def test_a_weight_that_is_more_than_its_numbers_is_left_to_pytorch(onednn: list[str]) -> None:
    class Doubled(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            plain = [arg.as_subclass(Tensor) * 2 if isinstance(arg, cls) else arg for arg in args]
            return func(*plain, **(kwargs or {}))

    x, weight = torch.randn(4, 3), torch.randn(2, 3)
    torch.testing.assert_close(linear(x, weight.as_subclass(Doubled)), 2 * F.linear(x, weight))
    assert onednn == ["PyTorch"]


def test_autocast_converts_as_pytorch_does(onednn: list[str]) -> None:
    x, weight, bias = torch.randn(6, 40), torch.randn(5, 40), torch.randn(5)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours, theirs = linear(x, weight, bias), F.linear(x, weight, bias)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs)
    assert onednn == ["oneDNN"]


@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_gradients_are_those_of_pytorch(activation: Activation, onednn: list[str]) -> None:
    gradients = []
    for own in (True, False):
        torch.manual_seed(0)
        x, weight, bias = torch.randn(6, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True), torch.randn(5)
        product = linear(x, weight, bias, activation) if own else ACTIVATIONS[activation](F.linear(x, weight, bias))
        product.square().sum().backward()
        gradients.append((x.grad, weight.grad))
    torch.testing.assert_close(gradients[0], gradients[1])
    assert onednn == ["PyTorch"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.usefixtures("without_gradients")
def test_a_product_is_added_to_what_stays(dtype: torch.dtype) -> None:
    summand, x, weight = draw(6, 5).to(dtype), draw(6, 4, seed=1).to(dtype), draw(5, 4, seed=2).to(dtype)
    before = summand.clone()
    total = add_linear(summand, x, weight)
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(
        total.double(), before.double() + x.double() @ weight.double().T, atol=tolerance, rtol=tolerance
    )
    torch.testing.assert_close(summand, before)


@pytest.mark.usefixtures("without_gradients")
def test_a_layer_is_followed_to_its_new_weights(onednn: list[str]) -> None:
    layer, x = nn.Linear(4, 3), torch.randn(2, 4)
    torch.testing.assert_close(apply_linear(layer, x, "gelu"), F.gelu(layer(x)))
    layer.load_state_dict({"weight": torch.ones(3, 4), "bias": torch.zeros(3)})
    torch.testing.assert_close(apply_linear(layer, x), x.sum(1, keepdim=True).expand(2, 3))
    torch.testing.assert_close(apply_linear(layer.bfloat16(), x.bfloat16()), layer(x.bfloat16()))
    assert onednn == ["oneDNN"] * 3


class Tripled(nn.Linear):
    """An adapter: what it computes is not in its weight."""

    def forward(self, input: Tensor) -> Tensor:
        return 3 * super().forward(input)


def with_hook(layer: nn.Linear) -> nn.Linear:
    layer.register_forward_hook(lambda _module, _inputs, output: 3 * output)
    return layer


def with_hook_before(layer: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        layer.bias.zero_()
    layer.register_forward_pre_hook(lambda _module, inputs: (3 * inputs[0],))
    return layer


def with_own_forward(layer: nn.Linear) -> nn.Linear:
    layer.forward = lambda x: 3 * F.linear(x, layer.weight, layer.bias)  # type: ignore[method-assign]
    return layer


def adapted(layer: nn.Linear) -> nn.Linear:
    tripled = Tripled(layer.in_features, layer.out_features)
    tripled.load_state_dict(layer.state_dict())
    return tripled


@pytest.mark.usefixtures("without_gradients")
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
@pytest.mark.parametrize("change", [with_hook, with_hook_before, with_own_forward, adapted])
def test_what_stands_in_a_layers_place_is_called(
    change: Callable[[nn.Linear], nn.Linear], activation: Activation
) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 3), torch.randn(2, 4)
    assert is_plain(layer, nn.Linear)
    layer = change(layer)
    assert not is_plain(layer, nn.Linear)
    product = 3 * F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(apply_linear(layer, x, activation), ACTIVATIONS[activation](product))


@pytest.mark.usefixtures("without_gradients")
def test_a_graph_holds_the_usual_operators() -> None:
    layer, x = nn.Linear(4, 3), torch.randn(2, 4)

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return apply_linear(self.layer, x, "gelu")

    program = torch.export.export(Wrapped(), (x,))
    assert not any("mkldnn" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), F.gelu(layer(x)))
    traced = torch.jit.trace(Wrapped(), x)
    assert "mkldnn" not in str(traced.graph)
