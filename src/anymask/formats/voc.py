"""Pascal VOC's layout of segmented images, as VOC2012 has it and annotation tools write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses, picture_name
from anymask.formats.format import (
    FolderWriter,
    PerImageFormat,
    Writer,
    find_picture,
    find_picture_of_key,
    name_of_key,
    put_file,
)
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.mask_pictures import label_rles
from anymask.formats.one_layer import flatten
from anymask.formats.voc_annotation import VocObject, annotation_xml, plain_text, read_annotation
from anymask.formats.voc_classes import VOID, VocClasses, palette_png, read_classes, read_numbers
from anymask.formats.walk import files_below
from anymask.segment import rle
from anymask.segment.masks import Masks

PICTURES, OBJECTS, CLASSES, ANNOTATIONS = "JPEGImages", "SegmentationObject", "SegmentationClass", "Annotations"
_LIST = "ImageSets/Segmentation/trainval.txt"
_MOST = VOID - 1
_UNLABELLED = "object"


class Voc(PerImageFormat):
    """A folder with pictures of masks by VOC's palette.

    ``SegmentationObject/NAME.png`` numbers the objects from 1, ``SegmentationClass/NAME.png`` says their classes, and
    ``Annotations/NAME.xml`` has name and box of each, in the order of their numbers, and
    ``ImageSets/Segmentation/trainval.txt`` lists the images. VOC's twenty classes keep their numbers, others follow
    from 21 in the order of their first appearance; ``labelmap.txt`` has them all, a line ``name:r,g,b::`` each. A
    folder that has such lists is gone on with: classes keep their numbers. Pixels of 255 ("void") are read as
    background, and not written.

    A pixel of several masks goes to the smallest. Masks without a pixel, those that smaller ones cover wholly, and,
    where an image has more than 254, the smallest are left out. A mask without a label is of the class "object", and
    marked ``unlabelled`` in the XML. Characters of labels that XML cannot hold, and line breaks, become spaces. Scores
    are not written.
    """

    name = "voc"
    title = "Pascal VOC: SegmentationObject/, SegmentationClass/ and Annotations/"
    is_folder = True
    carries = frozenset(
        {
            Feature.HOLES,
            Feature.PARTS,
            Feature.ORDER,
            Feature.UNMASKED_IMAGES,
            Feature.NAMES,
            Feature.LABELS,
            Feature.UNLABELLED,
        }
    )

    def recognises(self, path: Path) -> bool:
        """Look for SegmentationObject/ in the folder, or in the VOC folder that it holds."""
        return path.is_dir() and bool(_roots(path))

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every picture in SegmentationObject/, in the order of their names.

        The class of an object is that of most of its pixels in SegmentationClass/; its name is in ``labelmap.txt``, or,
        one to a line, in ``class_names.txt`` or ``labels.txt``, or is one of VOC's. Where that gives no name, the XML
        does. Palette and grey pictures hold numbers, colour ones the colours of ``labelmap.txt`` or of VOC.
        """
        roots = _roots(path)
        if len(roots) > 1:
            raise DatasetError(f"{path} holds several VOC folders: {', '.join(map(str, roots))}; give one of them")
        if not roots:
            hint = f"; {CLASSES}/ alone does not tell objects apart" if (path / CLASSES).is_dir() else ""
            raise DatasetError(f"{path} is no VOC folder with masks of objects: it has no {OBJECTS}/{hint}")
        root = roots[0]
        classes = read_classes(root)
        for file in files_below(root / OBJECTS, IMAGE_SUFFIXES):
            try:
                yield _read_image(root, file, classes, pictures)
            except DatasetError as error:
                yield error

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a folder, or go on with one."""
        return _VocWriter(self.name, path, losses, with_pictures)


def _roots(path: Path) -> list[Path]:
    """Find the VOC folders: the path itself, or those of a devkit in it."""
    if (path / OBJECTS).is_dir():
        return [path]
    inner = [*path.glob("VOC*"), *path.glob("VOCdevkit/VOC*")]
    return sorted(folder for folder in inner if (folder / OBJECTS).is_dir())


def _read_image(root: Path, file: Path, classes: VocClasses, pictures: Path | None) -> AnnotatedImage:
    key = file.relative_to(root / OBJECTS).with_suffix("").as_posix()
    numbers = read_numbers(file)
    rles = {number: one for number, one in label_rles(numbers).items() if number != VOID}
    masks = Masks(list(rles.values()), (numbers.shape[0], numbers.shape[1]))
    described = root / ANNOTATIONS / f"{key}.xml"
    given, objects = read_annotation(described) if described.is_file() else (None, [])
    labels = _labels(masks, list(rles), _class_map(root, key, masks.size, classes), objects, classes)
    if any(label is not None for label in labels):
        masks = masks.replace(labels=labels)
    places = [place for place in (pictures, root / PICTURES) if place is not None]
    name = _name(key, given)
    if name is not None:
        return AnnotatedImage(name, masks, find_picture(name, places))
    picture = find_picture_of_key(key, places)
    return AnnotatedImage(name_of_key(key) if picture is None else f"{key}{picture.suffix}", masks, picture)


def _name(key: str, given: str | None) -> str | None:
    """Name an image by its XML, if that has a name which belongs to the file's."""
    if not given:
        return None
    try:
        name = PurePosixPath(picture_name(given)).name
    except FormatError:
        return None
    last = PurePosixPath(key).name
    if last not in (name, PurePosixPath(name).stem):
        return None
    return (PurePosixPath(key).parent / name).as_posix()


def _class_map(root: Path, key: str, size: tuple[int, int], classes: VocClasses) -> NDArray[np.int64] | None:
    file = find_picture(f"{key}.png", [root / CLASSES])
    if file is None:
        return None
    numbers = read_numbers(file, classes.colours)
    if numbers.shape != size:
        raise DatasetError(
            f"{file} has {numbers.shape[1]} x {numbers.shape[0]} pixels, and its picture in {OBJECTS}/ "
            f"{size[1]} x {size[0]}"
        )
    return numbers


def _labels(
    masks: Masks,
    numbers: list[int],
    class_map: NDArray[np.int64] | None,
    objects: list[VocObject],
    classes: VocClasses,
) -> list[str | None]:
    labels: list[str | None] = []
    for index, number in enumerate(numbers):
        described = objects[number - 1] if number <= len(objects) else None
        label = None
        if class_map is not None:
            x0, y0, x1, y1 = masks.boxes[index].astype(int)
            votes = np.bincount(class_map[y0:y1, x0:x1][masks.crop(index)])
            votes[[place for place in (0, VOID) if place < len(votes)]] = 0
            label = classes.name(int(votes.argmax())) if votes.any() else None
        if label is None and described is not None:
            label = described.name
        labels.append(None if described is not None and described.is_unlabelled else label)
    return labels


class _VocWriter(FolderWriter):
    def __init__(self, name: str, folder: Path, losses: Losses, with_pictures: bool) -> None:
        super().__init__(name, folder, losses, with_pictures)
        self.classes = read_classes(folder)
        listed = folder / _LIST
        self.listed = dict.fromkeys(listed.read_text("utf-8").splitlines() if listed.is_file() else ())

    def picture_place(self, key: str, suffix: str) -> str:
        return f"{PICTURES}/{key}{suffix}"

    def files(self, image: AnnotatedImage, key: str) -> Iterator[tuple[str, bytes]]:
        self.losses.add_columns(image.masks, Voc.carries)
        masks, layer = flatten(image.masks, _MOST, self.losses)
        # Masks that are covered wholly have no pixel there, and get no number.
        visible = label_rles(layer)
        boxes = rle.box(list(visible.values())).astype(int).tolist()
        numbers, class_numbers = np.zeros((2, len(masks) + 1), dtype=np.uint8)
        objects = []
        for number, (value, box) in enumerate(zip(visible, boxes, strict=True), 1):
            label = None if masks.labels is None else masks.labels[value - 1]
            name = _UNLABELLED if label is None else plain_text(label)
            if label is not None and name != label:
                self.losses.add("characters of labels that XML cannot hold become spaces")
            numbers[value], class_numbers[value] = number, self.classes.number(name)
            if class_numbers[value] == VOID:
                self.losses.add(f"of more than {_MOST} classes, the others are named in {ANNOTATIONS}/ only")
            objects.append(VocObject(name, label is None, (box[0], box[1], box[2], box[3])))
        yield f"{CLASSES}/{key}.png", palette_png(class_numbers[layer], self.classes.colours)
        yield f"{ANNOTATIONS}/{key}.xml", annotation_xml(image.name, image.masks.size, objects)
        yield f"{OBJECTS}/{key}.png", palette_png(numbers[layer])
        self.listed[key] = None

    def finish(self) -> None:
        put_file(self.folder, "labelmap.txt", self.classes.labelmap().encode())
        put_file(self.folder, _LIST, "".join(f"{key}\n" for key in self.listed).encode())
