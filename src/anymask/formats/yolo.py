"""YOLO's layout for instance segmentation: a text file per image with an outline to a line, and ``data.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses
from anymask.formats.format import FolderWriter, PerImageFormat, Writer, find_picture_of_key, put_file
from anymask.formats.instances import DatasetError
from anymask.formats.walk import files_below
from anymask.formats.yolo_layout import (
    DESCRIPTION,
    YoloLayout,
    find_description,
    label_place,
    open_layout,
    read_description,
)
from anymask.formats.yolo_lines import format_line, join_rings, read_lines
from anymask.segment.errors import ImageError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size

_LOOKED_AT = 3
_PICTURES = "images"
_KEYS = {"train", "val", "nc", "names", "unlabelled"}
_UNLABELLED = "object"


class Yolo(PerImageFormat):
    """``images/NAME.jpg``, ``labels/NAME.txt`` with a line ``class x1 y1 x2 y2 ...`` for each mask, and ``data.yaml``.

    A mask is one ring. Holes and further parts are joined to it by bridges of no width, walked there and back: by the
    even-odd rule, which reading follows, the ring is exactly the mask. Trainers that draw outlines (OpenCV's fillPoly)
    also set the pixels under outline and bridge: lines of one pixel. Masks without a pixel are left out; scores are not
    written, because trainers take no more than the ring. Classes are numbered by their first appearance; masks without
    a label are of a class "object", which ``unlabelled`` in ``data.yaml`` tells from labels. A folder that has been
    written before is gone on with: classes keep their numbers.

    The files do not say how large an image is, so reading needs the pictures. One without a label file has no masks.
    """

    name = "yolo"
    title = "YOLO segmentation: labels/NAME.txt, images/ and data.yaml"
    is_folder = True
    carries = frozenset(
        {
            Feature.HOLES,
            Feature.PARTS,
            Feature.OVERLAPS,
            Feature.ORDER,
            Feature.UNMASKED_IMAGES,
            Feature.LABELS,
            Feature.UNLABELLED,
        }
    )

    def recognises(self, path: Path) -> bool:
        """Look for a description with names of classes and places of pictures, or for label files of numbers."""
        try:
            if path.is_file():
                return path.suffix.lower() in (".yaml", ".yml") and _describes(read_description(path))
            description = find_description(path)
            if description is not None and _describes(read_description(description)):
                return True
        except DatasetError:
            return False
        labels = path if path.name == "labels" else path / "labels"
        files = files_below(labels, (".txt",)) if labels.is_dir() else ()
        return any(_has_numbers(file) for _, file in zip(range(_LOOKED_AT), files, strict=False))

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read the data set of a folder or of its YAML file.

        The pictures are those of ``train``, ``val`` and ``test`` in the description (folders, lists, or several of
        them), else those in ``images/``. Their label files lie where ``labels`` stands for the last ``images`` in the
        path, or beside them. If ``pictures`` is given, the label files say which of them are read. A number at a line's
        end that makes the others pairs is a score. Classes without a name are called by their numbers.
        """
        layout = open_layout(path)
        if layout.names is None and not any(files_below(layout.root, (".txt",))):
            raise DatasetError(f"{path} holds no YOLO data set: neither {DESCRIPTION} nor labels/ with text files")
        found = False
        for one in _by_pictures(layout) if pictures is None else _by_labels(layout, pictures):
            found = True
            if isinstance(one, DatasetError):
                yield one
                continue
            try:
                yield _read_image(layout, *one)
            except DatasetError as error:
                yield error
        if not found:
            raise DatasetError(f"{path} holds no YOLO data set: {layout.root} has neither pictures nor labels/")

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a folder, or go on with one.

        Raises:
            FormatError: it is a file, or has a ``data.yaml`` of another layout.
        """
        return _YoloWriter(self.name, path, losses, with_pictures)


def _describes(content: dict[str, object]) -> bool:
    return "names" in content and any(key in content for key in ("train", "val", "path"))


def _has_numbers(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as stream:
            line = stream.readline(10_000)
        return all(float(field) > -1 for field in line.split())
    except (OSError, ValueError):
        return False


def _by_pictures(layout: YoloLayout) -> Iterator[tuple[Path, str, Path | None] | DatasetError]:
    """Yield each picture with the image's name and the label file, and what is wrong with label files without one."""
    found = False
    for one in layout.pictures():
        found = True
        yield one if isinstance(one, DatasetError) else (*one, layout.label_file(one[0]))
    for file, place in layout.label_files():
        key = layout.key(place)
        if not any(find_picture_of_key(one, [layout.root]) for one in (place, f"{_PICTURES}/{key}", key)):
            problem = _without_picture(file, layout.root / place)
            if not found:
                raise problem
            yield problem


def _by_labels(layout: YoloLayout, pictures: Path) -> Iterator[tuple[Path, str, Path] | DatasetError]:
    """Yield the picture of each label file with the image's name, or what is wrong."""

    def has_labels(name: str) -> bool:
        return (layout.root / label_place(f"{_PICTURES}/{name}.x")).is_file()

    for file, place in layout.label_files():
        key = PurePosixPath(layout.key(place))
        picture = find_picture_of_key(str(key), [pictures], has_labels) or find_picture_of_key(key.name, [pictures])
        if picture is None:
            yield _without_picture(file, pictures / key)
        else:
            yield picture, str(key.parent / picture.name), file


def _without_picture(file: Path, looked: Path) -> DatasetError:
    return DatasetError(
        f"there is no picture for {file} (looked for {looked}.jpg and other endings), and YOLO's labels do not say how "
        "large it is; give the folder of the pictures"
    )


def _read_image(layout: YoloLayout, picture: Path, name: str, file: Path | None) -> AnnotatedImage:
    try:
        size = image_size(picture, max_pixels=None)
    except ImageError as error:
        raise DatasetError(f"the size of {picture} is not known: {error}") from error
    lines = [] if file is None else read_lines(file, size)
    labels: list[str | None] = []
    for line in lines:
        number = line.class_number
        if layout.names is not None and number not in layout.names:
            raise DatasetError(
                f"{file}, line {line.place}: there is no class {number} among the {len(layout.names)} of the data set"
            )
        label = str(number) if layout.names is None else layout.names[number]
        labels.append(None if number == layout.unlabelled else label)
    scores = [line.score for line in lines if line.score is not None]
    masks = Masks(
        [line.rle for line in lines],
        size,
        scores=scores if lines and len(scores) == len(lines) else None,
        labels=labels if any(label is not None for label in labels) else None,
    )
    return AnnotatedImage(name, masks, picture)


class _YoloWriter(FolderWriter):
    def __init__(self, name: str, folder: Path, losses: Losses, with_pictures: bool) -> None:
        super().__init__(name, folder, losses, with_pictures)
        self.names: dict[int, str] = {}
        self.numbers: dict[str | None, int] = {}
        description = folder / DESCRIPTION
        if description.is_file():
            content = read_description(description)
            if content.get("train") != _PICTURES or not content.keys() <= _KEYS:
                raise FormatError(f"{description} describes another data set, which would be lost: name another folder")
            layout = open_layout(description)
            self.names = dict(layout.names or {})
            self.numbers = {None if one == layout.unlabelled else name: one for one, name in self.names.items()}

    def picture_place(self, key: str, suffix: str) -> str:
        # Pictures that differ in their endings only would share a label file, so the second has its ending twice.
        return f"{_PICTURES}/{key}{suffix or PurePosixPath(key).suffix}"

    def files(self, image: AnnotatedImage, key: str) -> Iterator[tuple[str, bytes]]:
        masks = image.masks
        self.losses.add_columns(masks, Yolo.carries)
        lines = []
        for index in range(len(masks)):
            polygons = masks.polygons(index)
            if not polygons:
                self.losses.add("masks without a pixel are left out")
                continue
            label = None if masks.labels is None else masks.labels[index]
            lines.append(format_line(self._class_number(label), join_rings(polygons), masks.size))
        yield label_place(f"{_PICTURES}/{key}.x"), "".join(f"{line}\n" for line in lines).encode()

    def _class_number(self, label: str | None) -> int:
        if label not in self.numbers:
            self.numbers[label] = max(self.names, default=-1) + 1
            self.names[self.numbers[label]] = _UNLABELLED if label is None else label
        return self.numbers[label]

    def finish(self) -> None:
        content: dict[str, object] = {"train": _PICTURES, "val": _PICTURES, "nc": len(self.names), "names": self.names}
        if None in self.numbers:
            content["unlabelled"] = self.numbers[None]
            if _UNLABELLED in self.numbers:
                self.names[self.numbers[None]] = f"{_UNLABELLED} (unlabelled)"
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1_000_000)
        put_file(self.folder, DESCRIPTION, text.encode())
