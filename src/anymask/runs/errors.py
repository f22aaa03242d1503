"""What is wrong with a run, or with the images that it was given."""

from anymask.errors import AnymaskError


class InputsError(AnymaskError, ValueError):
    """Images that were named are not there or not readable; the message says which and what is accepted."""


class PromptFileError(AnymaskError, ValueError):
    """A file of prompts cannot be used; the message says where in it, and what is accepted."""


class RunError(AnymaskError, RuntimeError):
    """A run cannot begin or go on; the message says why, and what to do."""
