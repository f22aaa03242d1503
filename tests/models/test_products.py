"""Products with a transposed side: the plain products, with gradients that lie in memory as their matrices do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from anymask.models.products import times_transposed, transposed_times

Product = Callable[[Tensor, Tensor], Tensor]
CASES = [
    (times_transposed, (2, 3, 5, 4), (2, 3, 6, 4), lambda a, b: a @ b.transpose(2, 3)),
    (transposed_times, (2, 3, 5, 6), (2, 3, 5, 4), lambda a, b: a.transpose(2, 3) @ b),
]


def pair(first: tuple[int, ...], second: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in (first, second)]


@pytest.mark.parametrize(("product", "first", "second", "plain"), CASES, ids=["A Bt", "At B"])
def test_value_and_gradients(product: Product, first: tuple[int, ...], second: tuple[int, ...], plain: Product) -> None:
    a, b = pair(first, second)
    torch.testing.assert_close(product(a, b), plain(a, b))
    assert torch.autograd.gradcheck(product, (a, b))
    product(a, b).square().sum().backward()
    for value in (a, b):
        assert value.grad is not None
        assert value.grad.is_contiguous()
    with torch.no_grad():
        torch.testing.assert_close(product(a, b), plain(a, b))


@pytest.mark.parametrize(("product", "first", "second", "plain"), CASES, ids=["A Bt", "At B"])
@pytest.mark.parametrize("trained", [0, 1])
def test_a_side_without_gradient_gets_none(
    product: Product, first: tuple[int, ...], second: tuple[int, ...], plain: Product, trained: int
) -> None:
    given = pair(first, second)
    given[1 - trained].requires_grad_(False)
    product(*given).square().sum().backward()
    found = given[trained].grad
    given[trained].grad = None
    plain(*given).square().sum().backward()
    torch.testing.assert_close(found, given[trained].grad)
    assert given[1 - trained].grad is None


@pytest.mark.parametrize(("product", "first", "second", "plain"), CASES, ids=["A Bt", "At B"])
def test_autocast_decides_the_type_as_for_plain_products(
    product: Product, first: tuple[int, ...], second: tuple[int, ...], plain: Product
) -> None:
    a, b = pair(first, second, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = product(a, b), plain(a, b)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs)
    ours.float().sum().backward()
    assert a.grad is not None
    assert a.grad.dtype == torch.float32
