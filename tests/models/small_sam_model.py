"""SamModel of transformers with few channels and random weights."""

from typing import Any

import torch
from transformers import SamConfig, SamModel

from models.parity import randomise


def small_config(image_size: int = 64, decoder_eps: float = 1e-5, **vision: Any) -> SamConfig:
    return SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "global_attn_indexes": [1],
            "image_size": image_size,
            "output_channels": 64,
            "num_pos_feats": 32,
            "window_size": 3,
        }
        | vision,
        prompt_encoder_config={"hidden_size": 64, "image_size": image_size, "mask_input_channels": 8},
        mask_decoder_config={
            "hidden_size": 64,
            "mlp_dim": 48,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 24,
            "layer_norm_eps": decoder_eps,
        },
    )


def small_sam_model(seed: int = 0, **changes: Any) -> SamModel:
    model = SamModel._from_config(small_config(**changes), attn_implementation="eager").eval()
    randomise(model, seed)
    model.tie_weights()
    return model


@torch.no_grad()
def answers(model: SamModel, images: torch.Tensor) -> list[torch.Tensor]:
    """Embedding, logits and predicted IoU of one point on the first of ``images``."""
    embedding = model.get_image_embeddings(images)
    point = torch.tensor([[[[20.0, 31.0]]]])
    decoded = model(image_embeddings=embedding[:1], input_points=point, input_labels=torch.ones(1, 1, 1))
    return [embedding, decoded.pred_masks[0], decoded.iou_scores[0]]


@torch.no_grad()
def our_answers(network: Any, images: torch.Tensor) -> list[torch.Tensor]:
    """The same of a network of ours."""
    embedding = network.image_encoder(images)
    sparse, dense = network.prompt_encoder((torch.tensor([[[20.0, 31.0]]]), torch.ones(1, 1)), None, None)
    logits, scores = network.mask_decoder(embedding[:1], network.prompt_encoder.get_dense_pe(), sparse, dense, True)
    return [embedding, logits, scores]


def largest_difference(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    assert [one.shape for one in found] == [one.shape for one in expected]
    assert all(one.std() > 0.05 for one in expected), "what hardly varies says little"
    return max((a - b).abs().max().item() for a, b in zip(found, expected, strict=True))
