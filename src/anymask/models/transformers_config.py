"""The ``config.json`` and ``preprocessor_config.json`` of Hugging Face's SamModel, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.checkpoints import CheckpointError
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD, Sam

# SamModel's parts have one eps each. The published weights were trained with 1e-5 in the mask decoder's transformer,
# but SamModel's own default, which the configurations on the hub repeat, is 1e-6.
_ENCODER_EPS = 1e-6
_DECODER_EPS = 1e-5


class _Section:
    """One part of a configuration, whose entries are checked as they are read."""

    def __init__(self, config: Mapping[str, Any], name: str, source: str) -> None:
        values = config.get(name)
        if values is not None and not isinstance(values, dict):
            raise CheckpointError(f"{source}: {name} must be a table of settings, not {values!r}")
        self._values: dict[str, Any] = values or {}
        self._name = name
        self._source = source

    def read(self, key: str, default: Any) -> Any:
        """Read an entry of the default's type.

        Raises:
            CheckpointError: it has another type, or is a number below 1.
        """
        value = self._values.get(key, default)
        if isinstance(default, int) and not isinstance(default, bool):
            # Square sizes may be written as pairs.
            if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
                value = value[0]
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise self.error(key, value, "a whole number above 0")
        elif isinstance(default, bool) and not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        elif isinstance(default, tuple) and not (
            isinstance(value, list | tuple) and all(isinstance(entry, int) for entry in value)
        ):
            raise self.error(key, value, "a list of whole numbers")
        return tuple(value) if isinstance(default, tuple) else value

    def optional(self, key: str) -> int | None:
        """Read a number above 0 that may be missing."""
        return None if self._values.get(key) is None else int(self.read(key, 1))

    def ratio(self, key: str, default: float) -> float:
        """Read a factor."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.error(key, value, "a number above 0")
        return float(value)

    def require(self, key: str, *allowed: Any) -> None:
        """Refuse any other value of an entry than ``allowed``, of which the first is the default."""
        value = self._values.get(key, allowed[0])
        if value not in allowed:
            raise self.error(key, value, " or ".join(str(entry) for entry in allowed))

    def error(self, key: str, value: Any, wanted: str) -> CheckpointError:
        """Describe a wrong entry."""
        return CheckpointError(f"{self._source}: {self._name}.{key} must be {wanted}, not {value!r}")


def read_config(config: Any, source: str) -> VitArchitecture:
    """Read the sizes of a SamModel from its configuration.

    What is missing has SamModel's default, which is vit_b's. The mask decoder's ``layer_norm_eps`` may be 1e-5 or
    1e-6, and is 1e-5 in what is built: the published weights were made with that, whatever their configuration says.

    Args:
        config: the content of ``config.json``.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: it is the configuration of another kind of model, or of one that cannot be built.
    """
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "sam":
        raise CheckpointError(
            f"{source} describes {f'a model of the type {kind!r}' if kind else 'no model'}: only SamModel's layout is "
            "read (model_type 'sam')"
        )
    vision = _Section(config, "vision_config", source)
    prompt = _Section(config, "prompt_encoder_config", source)
    decoder = _Section(config, "mask_decoder_config", source)
    vision.require("hidden_act", "gelu")
    vision.require("num_channels", 3)
    vision.require("layer_norm_eps", _ENCODER_EPS)
    prompt.require("hidden_act", "gelu")
    prompt.require("num_point_embeddings", 4)
    prompt.require("layer_norm_eps", _ENCODER_EPS)
    decoder.require("hidden_act", "relu")
    decoder.require("iou_head_depth", 3)
    decoder.require("layer_norm_eps", _DECODER_EPS, _ENCODER_EPS)
    image_size, patch_size = vision.read("image_size", 1024), vision.read("patch_size", 16)
    if image_size % patch_size:
        raise vision.error("image_size", image_size, f"a multiple of patch_size, {patch_size}")
    embed_dim, heads = vision.read("hidden_size", 768), vision.read("num_attention_heads", 12)
    if embed_dim % heads:
        raise vision.error("hidden_size", embed_dim, f"a multiple of num_attention_heads, {heads}")
    channels = vision.read("output_channels", 256)
    for section, key, value, default in (
        (prompt, "image_size", image_size, 1024),
        (prompt, "patch_size", patch_size, 16),
        (prompt, "hidden_size", channels, 256),
        (decoder, "hidden_size", channels, 256),
    ):
        if section.read(key, default) != value:
            raise section.error(key, section.read(key, default), f"{value}, as in vision_config")
    if 2 * vision.read("num_pos_feats", 128) != channels:
        raise vision.error("num_pos_feats", vision.read("num_pos_feats", 128), f"half of output_channels, {channels}")
    if channels % 8:
        raise vision.error("output_channels", channels, "a multiple of 8")
    if prompt.read("mask_input_channels", 16) % 4:
        raise prompt.error("mask_input_channels", prompt.read("mask_input_channels", 16), "a multiple of 4")
    inner = channels // decoder.read("attention_downsample_rate", 2)
    decoder_heads = decoder.read("num_attention_heads", 8)
    if channels % decoder_heads or inner < decoder_heads or inner % decoder_heads:
        raise decoder.error(
            "num_attention_heads", decoder_heads, f"a divisor of {inner} (hidden_size / attention_downsample_rate)"
        )
    depth = vision.read("num_hidden_layers", 12)
    global_blocks = tuple(sorted(set(vision.read("global_attn_indexes", (2, 5, 8, 11)))))
    return VitArchitecture(
        image_size=image_size,
        patch_size=patch_size,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=heads,
        mlp_dim=vision.optional("mlp_dim") or int(embed_dim * vision.ratio("mlp_ratio", 4.0)),
        window_size=vision.read("window_size", 14),
        global_blocks=tuple(index for index in global_blocks if 0 <= index < depth),
        qkv_bias=vision.read("qkv_bias", True),
        absolute_positions=vision.read("use_abs_pos", True),
        relative_positions=vision.read("use_rel_pos", True),
        decoder=DecoderArchitecture(
            embed_dim=channels,
            mask_channels=prompt.read("mask_input_channels", 16),
            depth=decoder.read("num_hidden_layers", 2),
            num_heads=decoder_heads,
            mlp_dim=decoder.read("mlp_dim", 2048),
            attention_downsample_rate=decoder.read("attention_downsample_rate", 2),
            num_multimask_outputs=decoder.read("num_multimask_outputs", 3),
            iou_head_hidden_dim=decoder.read("iou_head_hidden_dim", 256),
        ),
    )


def write_config(architecture: VitArchitecture) -> dict[str, Any]:
    """Describe sizes as the content of a ``config.json``, with the eps that the published weights were made with."""
    decoder = architecture.decoder
    return {
        "architectures": ["SamModel"],
        "model_type": "sam",
        "vision_config": {
            "model_type": "sam_vision_model",
            "hidden_size": architecture.embed_dim,
            "output_channels": decoder.embed_dim,
            "num_hidden_layers": architecture.depth,
            "num_attention_heads": architecture.num_heads,
            "num_channels": 3,
            "image_size": architecture.image_size,
            "patch_size": architecture.patch_size,
            "hidden_act": "gelu",
            "layer_norm_eps": _ENCODER_EPS,
            "qkv_bias": architecture.qkv_bias,
            "mlp_ratio": architecture.mlp_dim / architecture.embed_dim,
            "mlp_dim": architecture.mlp_dim,
            "use_abs_pos": architecture.absolute_positions,
            "use_rel_pos": architecture.relative_positions,
            "window_size": architecture.window_size,
            "global_attn_indexes": list(architecture.global_blocks),
            "num_pos_feats": decoder.embed_dim // 2,
        },
        "prompt_encoder_config": {
            "model_type": "sam_prompt_encoder",
            "hidden_size": decoder.embed_dim,
            "image_size": architecture.image_size,
            "patch_size": architecture.patch_size,
            "image_embedding_size": architecture.image_size // architecture.patch_size,
            "mask_input_channels": decoder.mask_channels,
            "num_point_embeddings": 4,
            "hidden_act": "gelu",
            "layer_norm_eps": _ENCODER_EPS,
        },
        "mask_decoder_config": {
            "model_type": "sam_mask_decoder",
            "hidden_size": decoder.embed_dim,
            "hidden_act": "relu",
            "mlp_dim": decoder.mlp_dim,
            "num_hidden_layers": decoder.depth,
            "num_attention_heads": decoder.num_heads,
            "attention_downsample_rate": decoder.attention_downsample_rate,
            "num_multimask_outputs": decoder.num_multimask_outputs,
            "iou_head_depth": 3,
            "iou_head_hidden_dim": decoder.iou_head_hidden_dim,
            "layer_norm_eps": _DECODER_EPS,
        },
    }


def read_pixel_statistics(config: Any, source: str) -> tuple[list[float], list[float]]:
    """Read the colour mean and deviation, in 0–255, from the image processor's configuration.

    Args:
        config: the content of ``preprocessor_config.json``.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: images are prepared in another way than by a mean and a deviation of each colour.
    """
    if not isinstance(config, dict):
        raise CheckpointError(f"{source} must be a table of settings, not {config!r}")
    for key in ("do_rescale", "do_normalize"):
        if config.get(key, True) is not True:
            raise CheckpointError(f"{source}: {key} must be true, not {config[key]!r}: no other preparation is known")
    factor = config.get("rescale_factor", 1 / 255)
    if not isinstance(factor, float) or abs(255 * factor - 1) > 1e-3:
        raise CheckpointError(f"{source}: rescale_factor must be 1/255, not {factor!r}: no other preparation is known")
    statistics = []
    for key, published in (("image_mean", PIXEL_MEAN), ("image_std", PIXEL_STD)):
        values = config.get(key) or [value / 255 for value in published]
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
            raise CheckpointError(f"{source}: {key} must be three numbers, not {values!r}")
        if key == "image_std" and min(values) <= 0:
            raise CheckpointError(f"{source}: {key} must be above 0, not {values!r}")
        statistics.append([255.0 * value for value in values])
    return statistics[0], statistics[1]


def _shares(colours: Tensor) -> list[float]:
    """Divide float32 colours by 255, with as few digits as give the same colours when they are read."""
    shares = []
    for colour in colours.flatten().cpu():
        shortest = (float(f"{colour.item() / 255:.{digits}g}") for digits in (4, 7))
        exact = float(f"{colour.item() / 255:.9g}")
        shares.append(next((share for share in shortest if torch.tensor(255 * share).equal(colour)), exact))
    return shares


def write_processor_config(network: Sam) -> dict[str, Any]:
    """Describe how a network's images are prepared as the content of a ``preprocessor_config.json``."""
    side, grid = network.input_side, network.prompt_encoder.mask_input_size[0]
    return {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": side},
        "mask_size": {"longest_edge": grid},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": _shares(network.pixel_mean),
        "image_std": _shares(network.pixel_std),
        "do_pad": True,
        "pad_size": {"height": side, "width": side},
        "mask_pad_size": {"height": grid, "width": grid},
    }
