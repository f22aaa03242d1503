"""Pascal VOC's XML of one image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from anymask.formats.instances import DatasetError

_NOT_PLAIN = re.compile("[^ -\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


@dataclass(frozen=True)
class VocObject:
    """An object of an image.

    Attributes:
        name: its class.
        is_unlabelled: the class only fills the place of a missing one.
        box: (x0, y0, x1, y1) in pixels, half-open; not read.
    """

    name: str
    is_unlabelled: bool
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


def plain_text(text: str) -> str:
    """Replace what XML, or a list of one class to a line, cannot hold by spaces, and drop spaces around it."""
    return _NOT_PLAIN.sub(" ", text).strip() or "object"


def annotation_xml(name: str, size: tuple[int, int], objects: list[VocObject]) -> bytes:
    """Describe an image of size (height, width), with its objects in the order of their numbers."""
    path = PurePosixPath(name)
    root = ElementTree.Element("annotation")
    _add(root, "folder", plain_text(path.parent.name or "JPEGImages"))
    _add(root, "filename", plain_text(path.name))
    measures = ElementTree.SubElement(root, "size")
    for tag, side in (("width", size[1]), ("height", size[0]), ("depth", 3)):
        _add(measures, tag, side)
    _add(root, "segmented", 1)
    for one in objects:
        described = ElementTree.SubElement(root, "object")
        _add(described, "name", one.name)
        if one.is_unlabelled:
            _add(described, "unlabelled", 1)
        for tag, value in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _add(described, tag, value)
        box = ElementTree.SubElement(described, "bndbox")
        x0, y0, x1, y1 = one.box
        # VOC counts pixels from 1, and the last one belongs to the box.
        for tag, edge in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            _add(box, tag, edge)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8")) + b"\n"


def read_annotation(file: Path) -> tuple[str | None, list[VocObject]]:
    """Read the picture's file name, if it is there, and the objects in their order.

    Raises:
        DatasetError: the file is missing or no XML.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise DatasetError(f"{file} is not valid XML: {error}") from error
    objects = []
    for number, one in enumerate(root.iterfind("object"), 1):
        name = (one.findtext("name") or "").strip()
        if not name:
            raise DatasetError(f"{file}: object {number} has no name")
        objects.append(VocObject(name, (one.findtext("unlabelled") or "").strip() == "1"))
    return (root.findtext("filename") or "").strip() or None, objects


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)
