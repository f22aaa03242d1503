"""Starting weights: a prompt looks at its own place from the first step on."""

import pytest
import torch
from torch import Tensor

from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.registry import build_model
from anymask.models.transformer import TwoWayAttentionBlock
from anymask.train.initialise import initialise_decoder

GRID = 16


def parts() -> tuple[PromptEncoder, MaskDecoder]:
    torch.manual_seed(0)
    network = build_model("pocket", 16 * GRID)
    return network.prompt_encoder, network.mask_decoder


def distances(encoder: PromptEncoder, decoder: MaskDecoder) -> Tensor:
    """For points anywhere, how many cells off is the cell that their token attends to most."""
    points = 16 * GRID * torch.rand(200, 1, 2, generator=torch.Generator().manual_seed(1))
    token = encoder.embed_points(points - 0.5, torch.ones(200, 1, dtype=torch.long), pad=False)[:, 0]
    keys = encoder.get_dense_pe()[0].flatten(1).T
    layer = decoder.transformer.layers[0]
    assert isinstance(layer, TwoWayAttentionBlock)
    attention = layer.cross_attn_token_to_image
    with torch.no_grad():
        strength = attention.q_proj(token) @ attention.k_proj(keys).T
    found = strength.argmax(1)
    place = torch.stack([found % GRID, found // GRID], dim=1) + 0.5
    return (place - points[:, 0] / 16).abs().amax(1)


@torch.no_grad()
def test_a_token_attends_to_its_own_place() -> None:
    encoder, decoder = parts()
    before = distances(encoder, decoder)
    initialise_decoder(encoder, decoder)
    after = distances(encoder, decoder)
    assert (before <= 1).float().mean() < 0.5
    assert (after <= 1).float().mean() > 0.95


def test_every_cross_attention_matches_positions() -> None:
    encoder, decoder = parts()
    initialise_decoder(encoder, decoder)
    attentions = [decoder.transformer.final_attn_token_to_image]
    for layer in decoder.transformer.layers:
        assert isinstance(layer, TwoWayAttentionBlock)
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    assert len(attentions) == 5
    for attention in attentions:
        weight = attention.q_proj.weight
        assert torch.equal(weight, attention.k_proj.weight)
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
        assert attention.q_proj.bias.abs().max() == attention.k_proj.bias.abs().max() == 0


@pytest.mark.parametrize("scale", [0.2, 0.05])
def test_learned_tokens_are_small(scale: float) -> None:
    encoder, decoder = parts()
    initialise_decoder(encoder, decoder, token_scale=scale)
    for embedding in (encoder.no_mask_embed, encoder.not_a_point_embed, decoder.iou_token):
        assert embedding.weight.std().item() == pytest.approx(scale, rel=0.25)
    assert decoder.mask_tokens.weight.std().item() == pytest.approx(scale, rel=0.15)
