"""What can go wrong on the way to a file for another run-time."""

from anymask.errors import AnymaskError


class ExportError(AnymaskError, ValueError):
    """A network cannot be written as asked, or the file does not compute what the network does."""
