"""The model family: what each name builds, where its weights come from, and under which licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from anymask.errors import AnymaskError
from anymask.models.image_encoder import ImageEncoderViT
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.pocket_encoder import PocketEncoder
from anymask.models.prompt_encoder import PromptEncoder
from anymask.models.sam import Sam
from anymask.models.transformer import TwoWayTransformer


class UnknownModelError(AnymaskError, ValueError):
    """A model name is not in the registry."""


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


def _vit(embed_dim: int, depth: int, num_heads: int, global_blocks: tuple[int, ...]) -> Callable[[int], nn.Module]:
    def build(image_size: int) -> nn.Module:
        return ImageEncoderViT(
            img_size=image_size,
            embed_dim=embed_dim,
            depth=depth,
            num_heads=num_heads,
            global_attn_indexes=global_blocks,
        )

    return build


_PUBLISHED = "https://dl.fbaipublicfiles.com/segment_anything/"

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
        ),
        ModelSpec(
            name="vit_b",
            description="SAM with ViT-B",
            image_size=1024,
            build_encoder=_vit(768, 12, 12, (2, 5, 8, 11)),
            source=_PUBLISHED + "sam_vit_b_01ec64.pth",
            file_name="sam_vit_b_01ec64.pth",
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            licence="Apache-2.0",
            parameters=93_735_472,
        ),
        ModelSpec(
            name="vit_l",
            description="SAM with ViT-L",
            image_size=1024,
            build_encoder=_vit(1024, 24, 16, (5, 11, 17, 23)),
            source=_PUBLISHED + "sam_vit_l_0b3195.pth",
            file_name="sam_vit_l_0b3195.pth",
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            licence="Apache-2.0",
            parameters=312_342_832,
        ),
        ModelSpec(
            name="vit_h",
            description="SAM with ViT-H",
            image_size=1024,
            build_encoder=_vit(1280, 32, 16, (7, 15, 23, 31)),
            source=_PUBLISHED + "sam_vit_h_4b8939.pth",
            file_name="sam_vit_h_4b8939.pth",
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            licence="Apache-2.0",
            parameters=641_090_608,
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
    grid = image_size // 16
    return Sam(
        image_encoder=image_encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=256,
            image_embedding_size=(grid, grid),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=256,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048),
        ),
    )


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
    names = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
    if position is not None and position.shape[-1] in names:
        return names[position.shape[-1]]
    if "image_encoder.stem.0.0.weight" in state:
        return "pocket"
    raise UnknownModelError(
        f"{source} is a foreign checkpoint: its keys (first {next(iter(state), 'missing')}) are those of none of "
        f"the known models ({', '.join(MODELS)})"
    )
