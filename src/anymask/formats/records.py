"""The JSON record of one image and its masks, and folders of such records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses, picture_name
from anymask.formats.format import FolderFormat, find_picture, has_picture_suffix
from anymask.formats.instances import DatasetError, read_json
from anymask.formats.json_stream import first_look
from anymask.formats.walk import files_below
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks

_LOOKED_AT = 20
_KEYS = {"image", "width", "height", "masks"}


class Records(FolderFormat):
    """What ``anymask segment`` and ``anymask everything`` write: a JSON file per image, with everything in it.

    A file that holds a list of such records, as ``--json`` writes for several images, is read too. Which prompt each
    mask answers stays in the files, but does not go into other formats.
    """

    name = "anymask"
    title = "anymask's own records: NAME.json"
    file_suffix = ".json"
    carries = frozenset(Feature)

    def recognises(self, path: Path) -> bool:
        """Look for JSON with ``image``, ``width``, ``height`` and ``masks``."""
        files = [path] if path.is_file() else files_below(path, (".json",))
        for _, file in zip(range(_LOOKED_AT), files, strict=False):
            if file.suffix.lower() == ".json" and first_look(file).keys() >= _KEYS:
                return True
        return False

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every record below the folder, or in the file that is given, in the order of their names."""
        root = path if path.is_dir() else path.parent
        found = False
        for file in files_below(path, (".json",)) if path.is_dir() else [path]:
            try:
                content = read_json(file)
            except DatasetError as error:
                found = True
                yield error
                continue
            together = isinstance(content, list)
            for record in content if together else [content]:
                if not is_record(record):
                    continue
                found = True
                try:
                    yield _read_record(record, file, together, root, pictures)
                except DatasetError as error:
                    yield error
        if not found:
            raise DatasetError(f"{path} holds no record of anymask: JSON with image, width, height and masks")

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY.json``."""
        del losses
        record = to_record(PurePosixPath(image.name).name, image.masks, model=None)
        yield f"{key}.json", json.dumps(record, indent=1).encode()


def is_record(content: Any) -> bool:
    """Tell whether parsed JSON is the record of one image."""
    return isinstance(content, dict) and content.keys() >= _KEYS


def to_record(
    image: str, masks: Masks, *, model: str | None, prompts: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Describe an image's masks for JSON.

    Args:
        image: the image's name or path.
        masks: its masks.
        model: the model that made them; None where it is not known.
        prompts: what they answer, as given by the user.

    Returns:
        ``image``, ``width``, ``height``, ``model``, ``prompts`` and ``masks``: COCO annotations
        (``segmentation`` as compressed RLE, ``bbox`` as (x, y, width, height), ``area``, ``score``) with the
        ``prompt`` they answer.
    """
    height, width = masks.size
    annotations = masks.to_coco(image_id=image)
    if masks.prompt is not None:
        for annotation, prompt in zip(annotations, masks.prompt.tolist(), strict=True):
            annotation["prompt"] = prompt
    return {
        "image": image,
        "width": width,
        "height": height,
        "model": model,
        "prompts": prompts or [],
        "masks": annotations,
    }


def _read_record(
    record: dict[str, Any], file: Path, together: bool, root: Path, pictures: Path | None
) -> AnnotatedImage:
    """Read one record; records together in a file are told apart by their images' folders, others by their own."""
    try:
        masks = Masks.from_coco(record["masks"], (int(record["height"]), int(record["width"])))
        typed = str(record["image"])
        whole = picture_name(typed)
        name = (file.parent.relative_to(root) / (whole if together else PurePosixPath(whole).name)).as_posix()
    except (MaskError, FormatError) as error:
        raise DatasetError(f"{file}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{file} is not a record of anymask: {error!r}") from error
    picture = find_picture(name, [root] if pictures is None else [pictures, root])
    # The commands write a picture's path as it was typed.
    if picture is None and has_picture_suffix(typed) and Path(typed).is_file():
        picture = Path(typed)
    return AnnotatedImage(name, masks, picture)
