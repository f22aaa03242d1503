"""One task of Label Studio: which of its regions are masks, with which labels, and what its picture is called."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from PIL import Image

from anymask.formats.annotated import FormatError, picture_name
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.label_studio_rle import decode_brush
from anymask.formats.outlines import rasterise
from anymask.segment import rle
from anymask.segment.errors import MaskError
from anymask.segment.polygons import Polygon
from anymask.segment.rle import RLE

UNLABELLED = "object"
"""The label of masks that have none."""

_CLOUD_STORAGE = ("s3", "gs", "azure-blob")
_LABEL_LISTS = ("brushlabels", "polygonlabels", "bitmasklabels", "labels")
_OTHER_REGIONS = ("rectangle", "ellipse", "keypoint", "vector", "video")


@dataclass
class Task:
    """What is read of one task.

    Attributes:
        name: the image's name.
        picture: its encoded bytes, where the task holds them.
        size: its (height, width), if the task says it.
        rles: its masks.
        columns: labels and scores, as far as there are any.
    """

    name: str
    picture: bytes | None
    size: tuple[int, int] | None
    rles: list[RLE]
    columns: dict[str, Any]


def is_task(content: Any) -> bool:
    """Tell whether parsed JSON is a task of an image, of the full export or of JSON_MIN."""
    if not isinstance(content, dict):
        return False
    if isinstance(content.get("data"), dict):
        return _address(content["data"]) is not None
    return _address(content) is not None and bool(_flat_regions(content))


def read_task(content: Any, source: str, left_out: Counter[str]) -> Task:
    """Read one task.

    Args:
        content: its parsed JSON.
        source: names the task in messages.
        left_out: counts regions that are no masks.

    Raises:
        DatasetError: it is no task of an image, or a region is broken.
    """
    if not isinstance(content, dict):
        raise DatasetError(f"{source} is not Label Studio's: a task is an object with data")
    is_full = isinstance(content.get("data"), dict)
    data = content["data"] if is_full else content
    address = _address(data)
    if address is None:
        raise DatasetError(f"{source} has no image: its data holds no address of a picture")
    try:
        regions, score = _chosen(content) if is_full else (_flat_regions(content), None)
        size = _size(regions, data)
        found = _Regions(regions, size, left_out)
        name, picture = _name(address, content.get("id"))
    except (MaskError, FormatError, DatasetError) as error:
        raise DatasetError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DatasetError(f"{source} is not Label Studio's: {error!r}") from error
    return Task(name, picture, size, found.rles, found.columns(score))


class _Regions:
    """The masks among the regions of one task."""

    def __init__(self, regions: list[dict[str, Any]], size: tuple[int, int] | None, left_out: Counter[str]) -> None:
        self.rles: list[RLE] = []
        self.labels: list[str | None] = []
        self.scores: list[float | None] = []
        self._left_out = left_out
        # What the labels of a region are may be said in a result of its own with the same id.
        for parts in _by_id(regions):
            mask = self._mask(parts, size)
            if mask is not None:
                self._add(mask, parts)

    def columns(self, score: float | None) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        if any(label is not None for label in self.labels):
            columns["labels"] = self.labels
        scores = [score if one is None else one for one in self.scores]
        if scores and all(one is not None for one in scores):
            columns["scores"] = np.asarray(scores, dtype=np.float32)
        return columns

    def _add(self, mask: RLE, parts: list[dict[str, Any]]) -> None:
        lists = (part["value"].get(name) for part in parts for name in _LABEL_LISTS)
        labels = next(([str(label) for label in one] for one in lists if isinstance(one, list) and one), [])
        is_filled_in = any((part.get("meta") or {}).get("unlabelled") is True for part in parts)
        names: list[str | None] = [None] if not labels or (is_filled_in and labels == [UNLABELLED]) else [*labels]
        score = next((part["score"] for part in parts if isinstance(part.get("score"), int | float)), None)
        for name in names:
            self.rles.append(mask)
            self.labels.append(name)
            self.scores.append(score)

    def _mask(self, parts: list[dict[str, Any]], size: tuple[int, int] | None) -> RLE | None:
        for part in parts:
            value = part["value"]
            try:
                if isinstance(value.get("rle"), list):
                    return decode_brush(value["rle"], _known(size))
                if isinstance(value.get("points"), list):
                    return self._polygon(value, _known(size))
                if isinstance(value.get("imageDataURL"), str):
                    return _bitmask(value["imageDataURL"], _known(size))
            except (MaskError, DatasetError) as error:
                raise DatasetError(f"region {part.get('id')}: {error}") from error
        kind = next((str(part.get("type")) for part in parts if _is_other_region(part)), None)
        if kind is not None:
            self._left_out[f"{kind.lower()} regions are no masks"] += 1
        return None

    def _polygon(self, value: dict[str, Any], size: tuple[int, int]) -> RLE | None:
        """Rasterise corners that are given in hundredths of the picture's sides; None for one that was not finished."""
        if value.get("closed") is False or len(value["points"]) < 3:
            self._left_out["polygons that are not closed are no masks"] += 1
            return None
        try:
            corners = np.asarray(value["points"], dtype=np.float64).reshape(-1, 2)
        except (TypeError, ValueError) as error:
            raise MaskError(f"a polygon's points are a list of (x, y) in percent: {error}") from error
        height, width = size
        return rasterise([Polygon(cast(Any, corners * (width / 100, height / 100)))], size)


def _by_id(regions: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Gather the results of each region; one of a kind that its region has already is a region of its own."""
    gathered: dict[Any, list[dict[str, Any]]] = {}
    for number, region in enumerate(regions):
        if not isinstance(region, dict):
            raise DatasetError(f"result {number} is no object")
        if not isinstance(region.get("value"), dict):
            # Relations between regions have no value.
            continue
        key = region.get("id")
        if key is None or any(one.get("type") == region.get("type") for one in gathered.get(str(key), [])):
            gathered[number] = [region]
        else:
            gathered.setdefault(str(key), []).append(region)
    return list(gathered.values())


def _is_other_region(part: dict[str, Any]) -> bool:
    return str(part.get("type")).lower().startswith(_OTHER_REGIONS)


def _chosen(content: dict[str, Any]) -> tuple[list[dict[str, Any]], float | None]:
    """Return the results of the annotation or prediction that counts, and the prediction's score."""
    # Old exports say completions.
    given = content.get("annotations") or content.get("completions") or []
    annotations = [one for one in given if not (one.get("was_cancelled") or one.get("skipped"))]
    if annotations:
        best = max(annotations, key=lambda one: (bool(one.get("ground_truth")), _time(one)))
        return best.get("result") or [], None
    predictions = content.get("predictions") or []
    if not predictions:
        return [], None
    newest = max(predictions, key=_time)
    score = newest.get("score")
    return newest.get("result") or [], float(score) if isinstance(score, int | float) else None


def _time(one: dict[str, Any]) -> str:
    return str(one.get("created_at") or "")


def _flat_regions(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the regions of JSON_MIN: lists of values, each with the size of its picture, under the names of tags."""
    found = []
    for values in content.values():
        for value in values if isinstance(values, list) else []:
            if isinstance(value, dict) and "original_width" in value:
                kind = next((name for name in value if name.endswith("labels")), "")
                found.append({**value, "type": kind, "value": value, "id": None})
    return found


def _size(regions: list[dict[str, Any]], data: dict[str, Any]) -> tuple[int, int] | None:
    """Return the (height, width) that the regions say; without any, the one that the data says."""
    sizes = {
        (region["original_height"], region["original_width"])
        for region in regions
        if region.get("original_height") and region.get("original_width")
    }
    if any(region.get("item_index") for region in regions) or len(sizes) > 1:
        raise DatasetError("its regions lie on several pictures; anymask reads tasks of one picture each")
    height, width = sizes.pop() if sizes else (data.get("height"), data.get("width"))
    if height is None or width is None:
        return None
    if not all(isinstance(side, int | float) and side >= 1 and side == int(side) for side in (height, width)):
        raise DatasetError(f"the picture's size {width!r} x {height!r} is not in pixels")
    return int(height), int(width)


def _known(size: tuple[int, int] | None) -> tuple[int, int]:
    if size is None:
        raise DatasetError("it does not say how large its picture is (original_width and original_height)")
    return size


def _bitmask(address: str, size: tuple[int, int]) -> RLE:
    """Take the mask out of a PNG file, which is transparent where the mask is not."""
    try:
        with Image.open(io.BytesIO(_embedded(address)), formats=["PNG"]) as picture:
            if picture.size[::-1] != size:
                raise DatasetError(
                    f"its bitmask is {picture.width} x {picture.height}, its picture {size[1]} x {size[0]} pixels"
                )
            if not picture.has_transparency_data:
                raise DatasetError("its bitmask has no transparency, which tells the mask from what is around it")
            alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    except (OSError, SyntaxError) as error:
        raise DatasetError(f"its bitmask is no PNG file that can be read: {error}") from error
    return rle.encode_mask(alpha > 0)


def _embedded(address: str) -> bytes:
    """Return the bytes of a data URL."""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DatasetError("a picture inside the file is not base64") from error


def _address(data: dict[str, Any]) -> str | None:
    """Return the address of the task's picture: that called image, else the first that looks like a picture's."""
    image = data.get("image")
    if isinstance(image, list) and len(image) == 1:
        image = image[0]
    if isinstance(image, str) and image:
        return image
    texts = [value for value in data.values() if isinstance(value, str)]
    return next((text for text in texts if _looks_like_picture(text)), None)


def _looks_like_picture(text: str) -> bool:
    parts = urlsplit(text)
    path = parse_qs(parts.query).get("d", [""])[0] or parts.path
    return text.startswith("data:image/") or PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def _name(address: str, number: Any) -> tuple[str, bytes | None]:
    """Make an image's name of the address of its picture; where the picture itself stands there, return that too."""
    if address.startswith("data:"):
        kind = address.partition("/")[2].partition(";")[0]
        return f"task-{number}.{'jpg' if kind == 'jpeg' else kind}", _embedded(address)
    parts = urlsplit(address)
    if re.match(r"[A-Za-z]:[\\/]", address) or not (parts.scheme or address.startswith("/")):
        return picture_name(address), None
    local = parse_qs(parts.query).get("d")
    if local and "local-files" in parts.path:
        return picture_name(local[0]), None
    path = unquote(parts.path)
    if parts.scheme in _CLOUD_STORAGE:
        return picture_name(path.lstrip("/")), None
    name = picture_name(PurePosixPath(path).name)
    # Label Studio puts eight digits of a hash before the name of what is uploaded.
    return re.sub(r"^[0-9a-f]{8}-", "", name) if "/data/upload/" in path else name, None
