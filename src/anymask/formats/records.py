"""The JSON record of one image and its masks."""

from __future__ import annotations

from typing import Any

from anymask.segment.masks import Masks


def to_record(image: str, masks: Masks, *, model: str, prompts: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Describe an image's masks for JSON.

    Args:
        image: the image's name or path.
        masks: its masks.
        model: the model that made them.
        prompts: what they answer, as given by the user.

    Returns:
        ``image``, ``width``, ``height``, ``model``, ``prompts`` and ``masks``: COCO annotations
        (``segmentation`` as compressed RLE, ``bbox`` as (x, y, width, height), ``area``, ``score``) with the
        ``prompt`` they answer.
    """
    height, width = masks.size
    annotations = masks.to_coco(image_id=image)
    if masks.prompt is not None:
        for annotation, prompt in zip(annotations, masks.prompt.tolist(), strict=True):
            annotation["prompt"] = prompt
    return {
        "image": image,
        "width": width,
        "height": height,
        "model": model,
        "prompts": prompts or [],
        "masks": annotations,
    }
