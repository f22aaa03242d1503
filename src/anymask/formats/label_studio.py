"""Label Studio's tasks: a JSON list of images with brush regions, as the program imports and exports it."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from anymask.atomic import write_atomically
from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, FormatWarning, Losses, with_finite_columns
from anymask.formats.format import Format, Writer, find_picture
from anymask.formats.instances import DatasetError
from anymask.formats.json_stream import open_json
from anymask.formats.label_studio_rle import encode_brush
from anymask.formats.label_studio_tasks import UNLABELLED, is_task, read_task
from anymask.formats.one_file import PICTURES, OneFileWriter, append_file
from anymask.segment.errors import ImageError, MaskError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size

_LOCAL_FILES = "/data/local-files/?d="
_MODEL_VERSION = "anymask"


class LabelStudio(Format):
    """One JSON file with a list of tasks, to be imported into Label Studio, with brush regions, which are exact.

    Masks with scores are written as a prediction, which annotators see as a suggestion, with a score for each region;
    masks without as an annotation. Label Studio needs a label: a mask without one is called "object" and marked
    ``"unlabelled": true`` in the region's ``meta``. Stability scores, points and crops are left out. Beside NAME.json,
    NAME.label_config.xml is the labelling interface that the regions belong to, with all labels.

    The pictures' addresses are those of Label Studio's local file serving (``/data/local-files/?d=NAME``): start it
    with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder of
    the pictures, which is also added to the project as a local storage. Copied pictures lie in ``images`` beside the
    file.

    Reading takes brush, polygon and bitmask regions of the full export and of JSON_MIN. Of several annotations of a
    task one is taken: a ground truth, else the newest; cancelled ones never. Predictions count where there is no
    annotation. A region with several labels is a mask for each. Boxes, ellipses and key points are no masks and are
    left out with a warning, and so are tasks without regions whose picture's size is not known. An image's name is what
    its address says: the path of local files and cloud storage, the last part of others, without the hash that Label
    Studio puts before the names of uploaded files.
    """

    name = "label-studio"
    title = "Label Studio's tasks: one JSON file"
    file_suffix = ".json"
    is_folder = False
    carries = frozenset(Feature) - {Feature.STABILITY, Feature.POINTS, Feature.CROPS}

    def recognises(self, path: Path) -> bool:
        """Look for a list of tasks."""
        if not path.is_file() or path.suffix.lower() != ".json":
            return False
        with contextlib.suppress(DatasetError), open_json(path, chunk=1 << 16) as stream:
            if stream.begins_with() == "[":
                return is_task(next((task for task, _ in stream.elements()), None))
        return False

    def read(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage]:
        """Read all tasks in their order."""
        if path.is_dir():
            raise DatasetError(f"{path} is a folder, and label-studio is one file: give the exported JSON file")
        folders = [path.parent / PICTURES, path.parent] if pictures is None else [pictures]
        left_out: Counter[str] = Counter()
        with open_json(path) as stream:
            if stream.begins_with() != "[":
                raise DatasetError(f"{path} is not a list of Label Studio's tasks; export the project as JSON")
            for number, (content, _) in enumerate(stream.elements()):
                task = read_task(content, f"task {number} of {path}", left_out)
                picture = task.picture or _find(task.name, folders)
                size = task.size or _size_of(picture, left_out)
                if size is not None:
                    yield AnnotatedImage(task.name, Masks(task.rles, size, **task.columns), picture)
            stream.end()
        for what, count in left_out.items():
            warnings.warn(f"{path}: {what} ({count:,} left out)", FormatWarning, stacklevel=2)

    def open_writer(self, path: Path, losses: Losses, with_pictures: bool = False) -> Writer:
        """Begin a file."""
        return _LabelStudioWriter(path, losses, with_pictures)


class _LabelStudioWriter(OneFileWriter):
    def __init__(self, path: Path, losses: Losses, with_pictures: bool) -> None:
        super().__init__(LabelStudio.name, path, losses, with_pictures)
        self._tasks = self.spool()
        self._labels: set[str] = set()
        self._count = 0

    def add(self, image: AnnotatedImage) -> None:
        masks = with_finite_columns(image.masks, self.losses, ("scores",))
        regions = [_region(masks, index) for index in range(len(masks))]
        self.losses.add_columns(masks, LabelStudio.carries)
        height, width = masks.size
        task: dict[str, Any] = {
            "data": {"image": _LOCAL_FILES + quote(image.name), "width": width, "height": height},
        }
        if masks.scores is None:
            task["annotations"] = [{"result": regions}] if regions else []
        else:
            prediction: dict[str, Any] = {"model_version": _MODEL_VERSION, "result": regions}
            if regions:
                prediction["score"] = float(masks.scores.mean())
            task["predictions"] = [prediction]
        text = json.dumps(task, separators=(",", ":"), allow_nan=False)
        self._tasks.write((",\n" if self._count else "\n").encode() + text.encode())
        self._count += 1
        self._labels.update(label for region in regions for label in region["value"]["brushlabels"])

    def join(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"[")
            append_file(self._tasks, file)
            file.write(b"\n]\n")

    def finish(self) -> None:
        """Put the labelling interface and then the tasks into their places."""
        interface = _interface(sorted(self._labels)).encode()
        write_atomically(self.path.with_suffix(".label_config.xml"), lambda beside: beside.write_bytes(interface))
        super().finish()


def _region(masks: Masks, index: int) -> dict[str, Any]:
    height, width = masks.size
    x, y = masks.boxes[index, :2].astype(int).tolist()
    try:
        stream = encode_brush(masks.crop(index), (x, y), masks.size)
    except MaskError as error:
        raise FormatError(str(error)) from error
    label = None if masks.labels is None else masks.labels[index]
    region: dict[str, Any] = {
        "id": f"mask{index}",
        "from_name": "tag",
        "to_name": "image",
        "type": "brushlabels",
        "origin": "manual" if masks.scores is None else "prediction",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": stream, "brushlabels": [label or UNLABELLED]},
    }
    if not label:
        region["meta"] = {"unlabelled": True}
    if masks.scores is not None:
        region["score"] = masks.scores[index].item()
    return region


def _interface(labels: list[str]) -> str:
    """Describe the labelling interface, with the names that Label Studio's own template has."""
    lines = [
        "<View>",
        '  <Image name="image" value="$image" zoom="true"/>',
        '  <BrushLabels name="tag" toName="image">',
    ]
    lines += [f"    <Label value={quoteattr(label)}/>" for label in labels or [UNLABELLED]]
    return "\n".join([*lines, "  </BrushLabels>", "</View>", ""])


def _find(name: str, folders: list[Path]) -> Path | None:
    return find_picture(name, folders) or find_picture(PurePosixPath(name).name, folders)


def _size_of(picture: Path | bytes | None, left_out: Counter[str]) -> tuple[int, int] | None:
    if picture is not None:
        with contextlib.suppress(ImageError):
            return image_size(picture, max_pixels=None)
    left_out[
        "tasks without regions do not say how large their picture is; name the folder of the pictures (--pictures)"
    ] += 1
    return None
