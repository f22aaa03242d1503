"""Build functions and the registry of the published package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anymask.models.checkpoints import load_into, load_state_dict
from anymask.models.locations import locate
from anymask.models.registry import build_model
from anymask.models.sam import Sam


def _build(name: str, checkpoint: str | Path | None) -> Sam:
    sam = build_model(name).eval()
    if checkpoint is not None:
        load_into(sam, load_state_dict(checkpoint), name, str(checkpoint))
    return sam


def build_sam_vit_h(checkpoint: str | Path | None = None) -> Sam:
    """Build SAM with ViT-H, in evaluation mode, on the CPU.

    Args:
        checkpoint: file with its weights; without one they are random.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of this model.
    """
    return _build("vit_h", checkpoint)


def build_sam_vit_l(checkpoint: str | Path | None = None) -> Sam:
    """Build SAM with ViT-L, in evaluation mode, on the CPU.

    Args:
        checkpoint: file with its weights; without one they are random.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of this model.
    """
    return _build("vit_l", checkpoint)


def build_sam_vit_b(checkpoint: str | Path | None = None) -> Sam:
    """Build SAM with ViT-B, in evaluation mode, on the CPU.

    Args:
        checkpoint: file with its weights; without one they are random.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of this model.
    """
    return _build("vit_b", checkpoint)


def build_sam_vit_t(checkpoint: str | Path | None = None) -> Sam:
    """Build MobileSAM under the name that its own package gives it, in evaluation mode, on the CPU.

    Args:
        checkpoint: file with its weights; without one they are random.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of this model.
    """
    return _build("mobile_sam", checkpoint)


def build_sam_pocket(checkpoint: str | Path | None = None) -> Sam:
    """Build anymask's own small model, in evaluation mode, on the CPU; the published package lacks it.

    Args:
        checkpoint: file with its weights; without one those in the package are loaded.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of this model.
    """
    return _build("pocket", locate("pocket") if checkpoint is None else checkpoint)


build_sam = build_sam_vit_h

sam_model_registry: dict[str, Callable[..., Sam]] = {
    "default": build_sam_vit_h,
    "vit_h": build_sam_vit_h,
    "vit_l": build_sam_vit_l,
    "vit_b": build_sam_vit_b,
    "vit_t": build_sam_vit_t,
    "pocket": build_sam_pocket,
}
