"""Masks to files."""

from anymask.formats.folder import write_folder
from anymask.formats.pictures import write_drawing, write_label_map
from anymask.formats.records import to_record

__all__ = ["to_record", "write_drawing", "write_folder", "write_label_map"]
