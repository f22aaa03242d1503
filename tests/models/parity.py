"""Models of transformers with random weights, and their weights under SAM's published keys.

Where transformers departs from the published algorithm, and what is done about it here:

- the norms of its two-way blocks have eps 1e-6 instead of 1e-5: set back by the configuration;
- a mask prompt belongs to an image, not to a prompt: several prompts with masks are given as several images;
- without points and boxes its sparse embedding is None instead of having no tokens;
- the label -10 for filling up prompts of unequal length does not exist in the published package: not used.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamModel

from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.registry import assemble
from anymask.models.sam import Sam

WIDTHS = {"vit_b": (768, 12), "vit_l": (1024, 16), "vit_h": (1280, 16)}

RENAMED = (
    (
        r"^shared_image_embedding\.positional_embedding$",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm(\d)\.", r"image_encoder.blocks.\1.norm\2."),
    (r"^vision_encoder\.layers\.(\d+)\.", r"image_encoder.blocks.\1."),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (
        r"^mask_decoder\.transformer\.layers\.(\d+)\.layer_norm(\d)\.",
        r"mask_decoder.transformer.layers.\1.norm\2.",
    ),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    (
        r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.0\.",
        r"\1.layers.1.",
    ),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_in\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.proj_out\.", r"\1.layers.2."),
)


def published_key(key: str) -> str:
    for pattern, replacement in RENAMED:
        renamed, count = re.subn(pattern, replacement, key)
        if count:
            return renamed
    return key


def published_state(model: nn.Module) -> dict[str, Tensor]:
    tied = "prompt_encoder.shared_embedding.positional_embedding"
    return {published_key(key): value.clone() for key, value in model.state_dict().items() if key != tied}


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Give every parameter a size at which it matters: nothing is zero, nothing drowns the rest."""
    generator = torch.Generator().manual_seed(seed)
    for key, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 1:
            parameter.copy_(0.2 * noise + (1.0 if "norm" in key and key.endswith("weight") else 0.0))
        elif key.endswith(("rel_pos_h", "rel_pos_w")):
            parameter.copy_(0.2 * noise)
        elif re.search(r"(point_embed\.\d|no_mask_embed|not_a_point_embed|_tokens?)\.weight$", key):
            parameter.copy_(0.7 * noise)
        elif "positional_embedding" in key or "pos_embed" in key:
            parameter.copy_(noise)
        else:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)


def reference_model(name: str, image_size: int, depth: int, global_blocks: tuple[int, ...], seed: int) -> SamModel:
    dim, heads = WIDTHS[name]
    config = SamConfig(
        vision_config={
            "hidden_size": dim,
            "num_attention_heads": heads,
            "num_hidden_layers": depth,
            "global_attn_indexes": list(global_blocks),
            "image_size": image_size,
        },
        prompt_encoder_config={"image_size": image_size},
        mask_decoder_config={"layer_norm_eps": 1e-5},
    )
    # Drawing initial weights that are then replaced would take longer than most tests.
    with torch.device("meta"):
        model = SamModel._from_config(config, attn_implementation="eager").eval()
    model.to_empty(device="cpu")
    model.tie_weights()
    randomise(model, seed)
    return model


def our_model(name: str, image_size: int, depth: int, global_blocks: tuple[int, ...]) -> Sam:
    dim, heads = WIDTHS[name]
    with torch.device("meta"):
        encoder = ImageEncoderViT(
            img_size=image_size,
            embed_dim=dim,
            num_heads=heads,
            depth=depth,
            global_attn_indexes=global_blocks,
        )
    return assemble(encoder.to_empty(device="cpu"), image_size).eval()


@dataclass(frozen=True)
class Pair:
    """One network twice: transformers' and ours, with the same weights."""

    reference: SamModel
    ours: Sam
    image_size: int


def make_pair(
    name: str = "vit_b",
    image_size: int = 160,
    depth: int = 2,
    global_blocks: tuple[int, ...] = (1,),
    seed: int = 0,
) -> Pair:
    reference = reference_model(name, image_size, depth, global_blocks, seed)
    ours = our_model(name, image_size, depth, global_blocks)
    ours.load_state_dict(published_state(reference))
    return Pair(reference, ours, image_size)


@torch.no_grad()
def reference_decode(
    reference: SamModel,
    embedding: Tensor,
    points: tuple[Tensor, Tensor] | None,
    boxes: Tensor | None,
    masks: Tensor | None,
    multimask: bool,
) -> tuple[Tensor, Tensor]:
    """Logits [M, C, g, g] and predicted IoU [M, C] of M prompts, each given as an image of its own."""
    count = next(len(given) for given in (points and points[0], boxes, masks) if given is not None)
    answer = reference(
        image_embeddings=embedding.expand(count, -1, -1, -1),
        input_points=None if points is None else points[0][:, None],
        input_labels=None if points is None else points[1][:, None],
        input_boxes=None if boxes is None else boxes[:, None],
        input_masks=masks,
        multimask_output=multimask,
    )
    return answer.pred_masks[:, 0], answer.iou_scores[:, 0]
