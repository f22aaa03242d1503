"""What the drop-in raises: the published package's exception types, with messages that help."""

from anymask.errors import AnymaskError


class ArgumentError(AnymaskError, AssertionError):
    """An argument breaks a rule that the published package asserts."""


class ImageArgumentError(AnymaskError, TypeError, ValueError):
    """An image is not the kind of array that the published package takes."""


class ImageNotSetError(AnymaskError, RuntimeError):
    """Masks or the embedding were asked for before an image was set."""
