"""Promptable segmentation: points, boxes and masks in, object masks out.

>>> import anymask
>>> model = anymask.load()
>>> photo = model.encode("truck.jpg")
>>> masks = photo.segment(points=[(500, 375)])
"""

from anymask import compat
from anymask.draw import draw_masks
from anymask.errors import AnymaskError
from anymask.formats.read_and_write import save_masks
from anymask.models.checkpoints import CheckpointError
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import ImageError, PromptError
from anymask.segment.everything_settings import EverythingSettings
from anymask.segment.masks import Masks
from anymask.segment.prompts import Prompt
from anymask.segment.registry import register_method
from anymask.segment.segmenter import Segmenter, load

__version__ = "0.1.0"

__all__ = [
    "AnymaskError",
    "CheckpointError",
    "EncodedImage",
    "EverythingSettings",
    "ImageError",
    "Masks",
    "Prompt",
    "PromptError",
    "Segmenter",
    "compat",
    "load",
]

register_method("Masks.draw", draw_masks)
register_method("Masks.save", save_masks)
