"""Masks, points and boxes on pixels, and helpers for notebooks."""

from anymask.draw.notebook import show_anns, show_box, show_mask, show_points
from anymask.draw.overlay import draw_masks, overlay
from anymask.draw.palette import PALETTE, assign_colors

__all__ = [
    "PALETTE",
    "assign_colors",
    "draw_masks",
    "overlay",
    "show_anns",
    "show_box",
    "show_mask",
    "show_points",
]
