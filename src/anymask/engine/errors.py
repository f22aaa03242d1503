"""What can be wrong with a project's store: each says what was given, what is accepted and what to do."""

from anymask.errors import AnymaskError


class StoreError(AnymaskError):
    """The parent of all errors of the store."""


class FolderError(StoreError, ValueError):
    """The folder of pictures is not there, or cannot be read."""


class DatabaseError(StoreError, RuntimeError):
    """The database cannot be opened or used."""


class ForeignDatabaseError(DatabaseError):
    """The file is no database of anymask."""


class NewerDatabaseError(DatabaseError):
    """The database was made by a newer anymask."""


class DamagedDatabaseError(DatabaseError):
    """The database is damaged."""


class StoreBusyError(DatabaseError):
    """Another program held the database for too long; nothing was changed, and trying again may work."""


class StorageError(DatabaseError):
    """The database cannot be written: the disk is full, or it may only be read. Nothing was changed."""


class UnknownPictureError(StoreError, LookupError):
    """The project has no such picture."""


class UnreadablePictureError(StoreError, ValueError):
    """A picture's size is not known, and its file cannot be read."""


class LabelError(StoreError, ValueError):
    """Labels were given that cannot be labels, or not in this order."""


class LabelInUseError(LabelError):
    """A label that objects have was left out."""
