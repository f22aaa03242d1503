"""What can go wrong with the studio: each says what was given, what is accepted and what to do."""

from anymask.errors import AnymaskError


class StudioError(AnymaskError, ValueError):
    """The studio cannot start or do what was asked; the message says what would work."""


class NotHereError(AnymaskError, LookupError):
    """A request names something that this project has not."""


class RequestRefusedError(AnymaskError, PermissionError):
    """A request comes from another site, or is for another project."""


class TooLargeError(AnymaskError, ValueError):
    """A request or an archive is larger than the studio takes."""


class PictureError(AnymaskError, ValueError):
    """A picture of the project cannot be opened; the message says why."""


class ModelUnavailableError(AnymaskError, RuntimeError):
    """The model could not be loaded, so that nothing can be encoded."""
