"""The whole model."""

from anymask.models.sam import Sam

__all__ = ["Sam"]
