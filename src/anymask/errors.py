"""The parent of every error that a user's input can cause, below all rooms so that each can derive from it."""


class AnymaskError(Exception):
    """The parent of every error that anymask raises on purpose."""
