"""SA-1B's layout: ``NAME.jpg`` and beside it ``NAME.json``, as the data set of the paper is published."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from anymask.formats.annotated import AnnotatedImage, Feature, FormatError, Losses, picture_name, with_finite_columns
from anymask.formats.format import FolderFormat, find_picture
from anymask.formats.instances import DatasetError, read_json
from anymask.formats.json_stream import first_look
from anymask.formats.walk import files_below
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks


class Sa1b(FolderFormat):
    """A JSON file per image, of compressed run lengths with predicted IoU, stability, point and crop of each mask.

    Labels, which the published files have not, are written as ``label``.
    """

    name = "sa1b"
    title = "SA-1B: NAME.json beside NAME.jpg"
    file_suffix = ".json"
    carries = frozenset(Feature)

    def recognises(self, path: Path) -> bool:
        """Look for JSON with ``image`` and ``annotations``."""
        files = [path] if path.is_file() else files_below(path, (".json",))
        for _, file in zip(range(20), files, strict=False):
            if file.suffix.lower() == ".json":
                keys = first_look(file)
                if keys.get("image") == "{" and keys.get("annotations") == "[":
                    return True
        return False

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every JSON of the layout below the folder, or the one that is given, in the order of their names."""
        root = path if path.is_dir() else path.parent
        found = False
        for file in files_below(path, (".json",)) if path.is_dir() else [path]:
            try:
                content = read_json(file)
                if path.is_dir() and not is_sa1b(content):
                    continue
                found = True
                yield _read_image(content, file, root, pictures)
            except DatasetError as error:
                found = True
                yield error
        if not found:
            raise DatasetError(f"{path} holds no JSON file in SA-1B's layout")

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY.json``."""
        record = sa1b_record(replace(image, masks=with_finite_columns(image.masks, losses)))
        yield f"{key}.json", json.dumps(record, separators=(",", ":"), allow_nan=False).encode()


def is_sa1b(content: Any) -> bool:
    """Tell whether parsed JSON describes one image in SA-1B's layout."""
    return isinstance(content, dict) and isinstance(content.get("image"), dict) and "annotations" in content


def sa1b_record(image: AnnotatedImage) -> dict[str, Any]:
    """Describe an image and its masks in SA-1B's layout, for JSON."""
    height, width = image.masks.size
    annotations = []
    for one in image.masks.to_coco():
        del one["image_id"], one["category_id"], one["iscrowd"]
        if "score" in one:
            one["predicted_iou"] = one.pop("score")
        annotations.append(one)
    described = {
        "image_id": image_number(image.name),
        "width": width,
        "height": height,
        "file_name": PurePosixPath(image.name).name,
    }
    return {"image": described, "annotations": annotations}


def image_number(name: str) -> int:
    """Number an image by the digits that end its name, as SA-1B does (sa_223750.jpg), else by its name's CRC-32."""
    digits = re.search(r"(\d{1,18})$", PurePosixPath(name).stem)
    return int(digits[1]) if digits else zlib.crc32(name.encode())


def sa1b_masks(content: Any, source: Path | str) -> Masks:
    """Take the masks out of the parsed JSON of one image.

    Raises:
        DatasetError: it is not in SA-1B's layout, or a mask is unsound.
    """
    try:
        size = int(content["image"]["height"]), int(content["image"]["width"])
        return Masks.from_coco(content["annotations"], size)
    except MaskError as error:
        raise DatasetError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{source} is not in SA-1B's layout: {error!r}") from error


def _read_image(content: Any, file: Path, root: Path, pictures: Path | None) -> AnnotatedImage:
    masks = sa1b_masks(content, file)
    folder = file.parent.relative_to(root)
    given = content["image"].get("file_name")
    try:
        name = picture_name(str(given)) if given else f"{file.stem}.jpg"
    except FormatError as error:
        raise DatasetError(f"{file}: {error}") from error
    whole = (folder / PurePosixPath(name).name).as_posix()
    places = [root] if pictures is None else [pictures, root]
    return AnnotatedImage(whole, masks, find_picture(whole, places))
