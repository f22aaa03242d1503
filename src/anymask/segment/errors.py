"""The errors that the user's input can cause: each says what was given, what is accepted and what to do."""

from anymask.errors import AnymaskError


class ImageError(AnymaskError, ValueError):
    """An image cannot be read, or is of a kind that has no agreed conversion to RGB."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """The path given for an image names nothing."""


class PromptError(AnymaskError, ValueError):
    """A point, box or mask given as a prompt is malformed or lies off the image."""


class MaskError(AnymaskError, ValueError):
    """Masks, their run lengths or their columns do not fit together."""


class MissingPackageError(AnymaskError, ImportError):
    """An optional package is needed for what was asked; the message says how to install it."""


class NotRegisteredError(AnymaskError, AttributeError):
    """A method provided by a higher part of anymask was called before that part was imported."""
