"""The mask decoder on tokens, as training calls it, against the same on maps."""

from collections.abc import Callable

import pytest
import torch

from anymask.models.sam import Sam


@pytest.fixture
def network(build_tiny: Callable[..., Sam]) -> Sam:
    torch.manual_seed(0)
    return build_tiny(64)


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 1), slice(1, None)], ids=["all", "single", "three"])
@pytest.mark.parametrize("fed", [False, True], ids=["shared", "with masks"])
def test_chosen_masks_are_those_of_all(network: Sam, chosen: slice, fed: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    encoder, decoder = network.prompt_encoder, network.mask_decoder
    embedding = torch.randn(1, 32, 4, 4, generator=generator)
    points = torch.rand(3, 2, 2, generator=generator) * 64
    sparse = encoder.embed_points(points, torch.ones(3, 2, dtype=torch.long), pad=True)[None]
    masks = torch.randn(3, 1, 16, 16, generator=generator)
    if fed:
        dense, dense_tokens = encoder.embed_masks(masks)[None], encoder.embed_mask_tokens(masks)[None]
        torch.testing.assert_close(dense_tokens, dense.flatten(3).transpose(2, 3), rtol=1e-5, atol=1e-6)
    else:
        dense = encoder.no_mask_embed.weight.reshape(1, 1, -1, 1, 1)
        dense_tokens = encoder.no_mask_embed.weight.reshape(1, 1, 1, -1)
    logits, predicted = decoder.decode(embedding, encoder.get_dense_pe(), sparse, dense)
    tokens = embedding.flatten(2).transpose(1, 2)[:, None] + dense_tokens
    positions = encoder.get_dense_pe()[0].flatten(1).T
    ours, rated = decoder.decode_tokens(tokens, positions, sparse, 4, chosen)
    torch.testing.assert_close(ours, logits[:, :, chosen], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rated, predicted, rtol=1e-4, atol=1e-5)
    assert len(ours[0, 0]) == len(range(4)[chosen])


def test_tokens_are_in_the_type_of_the_products(network: Sam) -> None:
    device = torch.device("cpu")
    assert network.mask_decoder.token_dtype(device) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert network.mask_decoder.token_dtype(device) == torch.bfloat16
    embedding = torch.randn(1, 32, 4, 4)
    sparse = torch.randn(1, 2, 3, 32)
    dense = network.prompt_encoder.no_mask_embed.weight.reshape(1, 1, -1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        _, tokens = network.mask_decoder.transformer.attend(
            torch.randn(1, 1, 16, 32).bfloat16(), torch.randn(16, 32).bfloat16(), sparse
        )
        logits, _ = network.mask_decoder.decode(embedding, network.prompt_encoder.get_dense_pe(), sparse, dense)
    # A float32 bias or norm on the way would double the memory traffic.
    assert tokens.dtype == logits.dtype == torch.bfloat16
