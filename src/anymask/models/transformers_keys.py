"""Keys of Hugging Face's SamModel and the published ones, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

# A number (#) and a rest (*) are the same on both sides. The first row that fits a key counts.
_KEYS = (
    ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
    ("image_encoder.patch_embed.proj.*", "vision_encoder.patch_embed.projection.*"),
    ("image_encoder.pos_embed", "vision_encoder.pos_embed"),
    ("image_encoder.blocks.#.norm1.*", "vision_encoder.layers.#.layer_norm1.*"),
    ("image_encoder.blocks.#.norm2.*", "vision_encoder.layers.#.layer_norm2.*"),
    ("image_encoder.blocks.#.*", "vision_encoder.layers.#.*"),
    ("image_encoder.neck.0.*", "vision_encoder.neck.conv1.*"),
    ("image_encoder.neck.1.*", "vision_encoder.neck.layer_norm1.*"),
    ("image_encoder.neck.2.*", "vision_encoder.neck.conv2.*"),
    ("image_encoder.neck.3.*", "vision_encoder.neck.layer_norm2.*"),
    ("prompt_encoder.point_embeddings.#.weight", "prompt_encoder.point_embed.#.weight"),
    ("prompt_encoder.mask_downscaling.0.*", "prompt_encoder.mask_embed.conv1.*"),
    ("prompt_encoder.mask_downscaling.1.*", "prompt_encoder.mask_embed.layer_norm1.*"),
    ("prompt_encoder.mask_downscaling.3.*", "prompt_encoder.mask_embed.conv2.*"),
    ("prompt_encoder.mask_downscaling.4.*", "prompt_encoder.mask_embed.layer_norm2.*"),
    ("prompt_encoder.mask_downscaling.6.*", "prompt_encoder.mask_embed.conv3.*"),
    ("mask_decoder.transformer.layers.#.norm#.*", "mask_decoder.transformer.layers.#.layer_norm#.*"),
    ("mask_decoder.transformer.norm_final_attn.*", "mask_decoder.transformer.layer_norm_final_attn.*"),
    ("mask_decoder.output_upscaling.0.*", "mask_decoder.upscale_conv1.*"),
    ("mask_decoder.output_upscaling.1.*", "mask_decoder.upscale_layer_norm.*"),
    ("mask_decoder.output_upscaling.3.*", "mask_decoder.upscale_conv2.*"),
    *(
        (f"mask_decoder.{head}.{ours}.*", f"mask_decoder.{head}.{theirs}.*")
        for head in ("output_hypernetworks_mlps.#", "iou_prediction_head")
        for ours, theirs in (("layers.0", "proj_in"), ("layers.1", "layers.0"), ("layers.2", "proj_out"))
    ),
)
_TIED = "prompt_encoder.shared_embedding.positional_embedding"


def _compile(source: str, target: str) -> tuple[re.Pattern[str], str]:
    pattern = re.escape(source).replace(r"\#", r"(\d+)").replace(r"\*", "(.+)")
    groups = iter(range(1, 10))
    return re.compile(pattern), re.sub(r"[#*]", lambda _: f"\\g<{next(groups)}>", target)


_TO_PUBLISHED = tuple(_compile(theirs, ours) for ours, theirs in _KEYS)
_TO_TRANSFORMERS = tuple(_compile(ours, theirs) for ours, theirs in _KEYS)


def _rename(key: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, target in rules:
        match = pattern.fullmatch(key)
        if match is not None:
            return match.expand(target)
    return key


def is_transformers_layout(state: Iterable[str]) -> bool:
    """Whether keys are those of SamModel."""
    return any(key.startswith("vision_encoder.") for key in state)


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of SamModel to the published ones.

    SamModel ties the position encoding of prompts to that of the image; either of the two is enough. Keys that are
    no part of it keep their names, so that loading reports them; so does a second position encoding that is not the
    first one.

    Args:
        state: tensors by SamModel's keys.
    """
    published = {_rename(key, _TO_PUBLISHED): value for key, value in state.items() if key != _TIED}
    if _TIED in state:
        first = published.setdefault(_KEYS[0][0], state[_TIED])
        if not first.equal(state[_TIED]):
            published[_TIED] = state[_TIED]
    return published


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published keys to SamModel's; of its tied position encodings the first is given.

    Args:
        state: tensors by published keys, of a model with a plain vision transformer.
    """
    return {_rename(key, _TO_TRANSFORMERS): value for key, value in state.items()}
