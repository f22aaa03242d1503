"""The names of Meta's ``segment_anything`` package over anymask: change the import, keep the code.

The drop-in computes in float32 unless :func:`anymask.compat.install` or the environment variable
``ANYMASK_PRECISION`` says ``auto`` or ``bfloat16``, which then holds for the image encoder of every
:class:`SamPredictor`.
"""

from anymask.compat.segment_anything.automatic_mask_generator import SamAutomaticMaskGenerator
from anymask.compat.segment_anything.build_sam import (
    build_sam,
    build_sam_vit_b,
    build_sam_vit_h,
    build_sam_vit_l,
    build_sam_vit_t,
    sam_model_registry,
)
from anymask.compat.segment_anything.predictor import SamPredictor

__all__ = [
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "build_sam_vit_t",
    "sam_model_registry",
]
