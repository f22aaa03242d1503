"""The model family: what each name builds, where its weights come from, and under which licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from anymask.errors import AnymaskError
from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.sam import Sam
from anymask.models.tiny_vit import TinyViT


class UnknownModelError(AnymaskError, ValueError):
    """A model name is not in the registry."""


class EverythingThresholds(NamedTuple):
    """What everything mode asks of a mask, where nobody says otherwise.

    Attributes:
        pred_iou: the predicted IoU that it must exceed.
        stability_score: the stability that it must reach.
    """

    pred_iou: float
    stability_score: float


PUBLISHED_THRESHOLDS = EverythingThresholds(0.88, 0.95)
"""Those of the published generator, chosen for the published models."""


@dataclass(frozen=True)
class ModelSpec:
    """One member of the family.

    Attributes:
        name: the name users give.
        description: one line.
        image_size: side of the model input in pixels.
        build_encoder: builds the image encoder for an input side.
        source: address of the published checkpoint; "" where the weights ship in the package.
        file_name: the checkpoint's file name.
        sha256: the checkpoint's hash; "" where none is known.
        licence: of the weights.
        parameters: in all parts together.
        size: of the checkpoint in bytes; 0 where it is not known.
        hub_copy: repository and file on the Hugging Face hub that hold a copy, as "owner/name/path"; "" where none
            is known.
        everything_thresholds: suit the model's own scores.
    """

    name: str
    description: str
    image_size: int
    build_encoder: Callable[[int], nn.Module]
    source: str
    file_name: str
    sha256: str
    licence: str
    parameters: int
    size: int = 0
    hub_copy: str = ""
    everything_thresholds: EverythingThresholds = PUBLISHED_THRESHOLDS


VITS = {
    "vit_b": VitArchitecture(),
    "vit_l": VitArchitecture(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, global_blocks=(5, 11, 17, 23)),
    "vit_h": VitArchitecture(embed_dim=1280, depth=32, num_heads=16, mlp_dim=5120, global_blocks=(7, 15, 23, 31)),
}
"""The published vision transformers by name."""

_PUBLISHED = "https://dl.fbaipublicfiles.com/segment_anything/"
_HUB_COPIES = "ybelkada/segment-anything/checkpoints/"

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="pocket",
            description="small encoder made for laptops; its weights are in the package",
            image_size=512,
            build_encoder=lambda image_size: PocketEncoder(img_size=image_size),
            source="",
            file_name="pocket.safetensors",
            sha256="",
            licence="Apache-2.0",
            parameters=9_154_400,
            everything_thresholds=EverythingThresholds(0.35, 0.3),
        ),
        ModelSpec(
            name="mobile_sam",
            description="MobileSAM: SAM with TinyViT",
            image_size=1024,
            build_encoder=lambda image_size: TinyViT(img_size=image_size),
            source="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
            file_name="mobile_sam.pt",
            sha256="",
            licence="Apache-2.0",
            parameters=10_130_092,
        ),
        ModelSpec(
            name="vit_b",
            description="SAM with ViT-B",
            image_size=1024,
            build_encoder=lambda image_size: VITS["vit_b"].at(image_size).build_encoder(),
            source=_PUBLISHED + "sam_vit_b_01ec64.pth",
            file_name="sam_vit_b_01ec64.pth",
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            licence="Apache-2.0",
            parameters=93_735_472,
            size=375_042_383,
            hub_copy=_HUB_COPIES + "sam_vit_b_01ec64.pth",
        ),
        ModelSpec(
            name="vit_l",
            description="SAM with ViT-L",
            image_size=1024,
            build_encoder=lambda image_size: VITS["vit_l"].at(image_size).build_encoder(),
            source=_PUBLISHED + "sam_vit_l_0b3195.pth",
            file_name="sam_vit_l_0b3195.pth",
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            licence="Apache-2.0",
            parameters=312_342_832,
            size=1_249_524_607,
            hub_copy=_HUB_COPIES + "sam_vit_l_0b3195.pth",
        ),
        ModelSpec(
            name="vit_h",
            description="SAM with ViT-H",
            image_size=1024,
            build_encoder=lambda image_size: VITS["vit_h"].at(image_size).build_encoder(),
            source=_PUBLISHED + "sam_vit_h_4b8939.pth",
            file_name="sam_vit_h_4b8939.pth",
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            licence="Apache-2.0",
            parameters=641_090_608,
            size=2_564_550_879,
            hub_copy=_HUB_COPIES + "sam_vit_h_4b8939.pth",
        ),
    )
}


def model_spec(name: str) -> ModelSpec:
    """Look a model up.

    Raises:
        UnknownModelError: the name is not in the family; the message lists those that are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModelError(f"unknown model {name!r}; known models: {', '.join(MODELS)}") from None


def assemble(image_encoder: nn.Module, image_size: int) -> Sam:
    """Put SAM's prompt encoder and mask decoder, with random weights, beside an image encoder of stride 16."""
    return DecoderArchitecture().assemble(image_encoder, image_size)


def build_model(name: str, image_size: int | None = None) -> Sam:
    """Build a member of the family with random weights.

    Args:
        name: its name in the registry.
        image_size: another side of the model input than the model's own, a multiple of 16.

    Raises:
        UnknownModelError: the name is not in the registry.
        ValueError: the side is not a positive multiple of 16.
    """
    spec = model_spec(name)
    side = spec.image_size if image_size is None else image_size
    if side <= 0 or side % 16:
        raise ValueError(f"image_size must be a positive multiple of 16, not {side}")
    return assemble(spec.build_encoder(side), side)


def guess_model(state: Mapping[str, Tensor], source: str) -> str:
    """Name the member of the family that a state dict belongs to, by its keys and shapes.

    Args:
        state: tensors by key.
        source: where the state comes from, for the message.

    Raises:
        UnknownModelError: the state dict belongs to none of them.
    """
    position = state.get("image_encoder.pos_embed")
    if position is not None:
        for name, architecture in VITS.items():
            if position.shape[-1] == architecture.embed_dim:
                return name
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return "mobile_sam"
    if "image_encoder.stem.0.0.weight" in state:
        return "pocket"
    raise UnknownModelError(
        f"{source} is a foreign checkpoint: its keys (first {next(iter(state), 'missing')}) are those of none of "
        f"the known models ({', '.join(MODELS)})"
    )


def everything_thresholds(network: Sam) -> EverythingThresholds:
    """Recommend thresholds of everything mode for a network, trained further or not.

    Returns:
        Those of the member of the family that it is, by its keys and shapes; the published ones for any other.
    """
    try:
        return MODELS[guess_model(network.state_dict(), "this network")].everything_thresholds
    except UnknownModelError:
        return PUBLISHED_THRESHOLDS
