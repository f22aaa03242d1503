"""Masks to files."""

from anymask.formats.folder import write_folder
from anymask.formats.records import to_record

__all__ = ["to_record", "write_folder"]
