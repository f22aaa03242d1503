"""Starting weights from which the mask decoder learns quickly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymask.models.mask_decoder import MaskDecoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.transformer import TwoWayAttentionBlock


def _match_positions(query: nn.Linear, key: nn.Linear) -> None:
    weight = torch.empty_like(query.weight)
    nn.init.orthogonal_(weight)
    query.weight.copy_(weight)
    key.weight.copy_(weight)
    for bias in (query.bias, key.bias):
        assert isinstance(bias, Tensor)
        bias.zero_()


@torch.no_grad()
def initialise_decoder(prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder, token_scale: float = 0.2) -> None:
    """Let the cross-attentions begin by matching positions.

    With SAM's random start the decoder answers "all is background" for thousands of steps, because no token
    finds its place in the image. With equal orthogonal query and key projections and small learned tokens, a
    prompt attends to where it lies from the first step on.

    Args:
        prompt_encoder: its learned tokens are shrunk.
        mask_decoder: its tokens are shrunk and its cross-attentions set.
        token_scale: factor on the learned tokens, whose usual deviation is 1.
    """
    for layer in mask_decoder.transformer.layers:
        assert isinstance(layer, TwoWayAttentionBlock)
        for attention in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token):
            _match_positions(attention.q_proj, attention.k_proj)
    final = mask_decoder.transformer.final_attn_token_to_image
    _match_positions(final.q_proj, final.k_proj)
    learned = [
        *prompt_encoder.point_embeddings,
        prompt_encoder.not_a_point_embed,
        prompt_encoder.no_mask_embed,
        mask_decoder.iou_token,
        mask_decoder.mask_tokens,
    ]
    for embedding in learned:
        assert isinstance(embedding.weight, Tensor)
        nn.init.normal_(embedding.weight, std=token_scale)
