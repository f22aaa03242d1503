"""Masks to files and back, in the formats of many tools."""

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, FormatWarning
from anymask.formats.conversion import Conversion, convert
from anymask.formats.folder import write_folder
from anymask.formats.instances import DatasetError
from anymask.formats.pictures import write_drawing, write_label_map
from anymask.formats.read_and_write import read, save_masks, write
from anymask.formats.records import to_record
from anymask.formats.registry import FORMATS

__all__ = [
    "FORMATS",
    "AnnotatedImage",
    "Conversion",
    "DatasetError",
    "Feature",
    "FormatError",
    "FormatWarning",
    "convert",
    "read",
    "save_masks",
    "to_record",
    "write",
    "write_drawing",
    "write_folder",
    "write_label_map",
]
