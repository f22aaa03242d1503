"""The published package, brought from outside, with the weights of ours."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from anymask.models.sam import Sam

WHERE = (
    "the published package is not here: pip install segment-anything torchvision, or give a folder that holds "
    "its segment_anything with --published"
)


def import_published(folder: Path | None) -> types.ModuleType:
    """Import ``segment_anything``, from a folder if one is given.

    The five functions of torchvision that it needs for masks are replaced where torchvision is missing.
    """
    if folder is not None:
        sys.path.insert(0, str(folder))
    try:
        importlib.import_module("torchvision")
    except ImportError:
        _stand_in_for_torchvision()
    try:
        return importlib.import_module("segment_anything")
    except ImportError:
        raise SystemExit(WHERE) from None


def _stand_in_for_torchvision() -> None:
    def box_area(boxes: Tensor) -> Tensor:
        return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float) -> Tensor:
        del classes
        corners, areas = boxes.float(), box_area(boxes.float())
        waiting, kept = scores.argsort(descending=True, stable=True), []
        while len(waiting):
            best, waiting = waiting[0], waiting[1:]
            kept.append(best)
            low = torch.maximum(corners[best, :2], corners[waiting, :2])
            high = torch.minimum(corners[best, 2:], corners[waiting, 2:])
            shared = (high - low).clamp(min=0).prod(1)
            waiting = waiting[~(shared / (areas[best] + areas[waiting] - shared) > iou_threshold)]
        return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)

    modules: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.ops": {},
        "torchvision.ops.boxes": {"box_area": box_area, "batched_nms": batched_nms},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {
            "to_pil_image": Image.fromarray,
            "resize": lambda image, size: image.resize(size[::-1], Image.Resampling.BILINEAR),
        },
    }
    for name, contents in modules.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        sys.modules[name] = module


class ReadyEmbedding(nn.Module):
    """In the place of an image encoder: gives one embedding, whatever the picture."""

    def __init__(self, embedding: Tensor, side: int) -> None:
        super().__init__()
        self.register_buffer("embedding", embedding)
        self.img_size = side

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the embedding."""
        del pixels
        return self.embedding


def graft(network: Sam, embedding: Tensor) -> nn.Module:
    """Build the published model around our prompt encoder's and mask decoder's weights, and an embedding."""
    modeling = importlib.import_module("segment_anything.modeling")
    ours = network.prompt_encoder
    prompt_encoder = modeling.PromptEncoder(
        embed_dim=ours.embed_dim,
        image_embedding_size=ours.image_embedding_size,
        input_image_size=ours.input_image_size,
        mask_in_chans=16,
    )
    mask_decoder = modeling.MaskDecoder(
        num_multimask_outputs=3,
        transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=ours.embed_dim, mlp_dim=2048, num_heads=8),
        transformer_dim=ours.embed_dim,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    prompt_encoder.load_state_dict(ours.state_dict())
    mask_decoder.load_state_dict(network.mask_decoder.state_dict())
    model: nn.Module = modeling.Sam(
        image_encoder=ReadyEmbedding(embedding, network.input_side),
        prompt_encoder=prompt_encoder,
        mask_decoder=mask_decoder,
    )
    return model.eval()
