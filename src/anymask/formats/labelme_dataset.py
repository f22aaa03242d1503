"""Images with masks as LabelMe saves them: ``NAME.json`` with shapes beside the image."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.formats.instances import DatasetError, ImageCache, Rle, check_size, is_in_split, read_json, read_rgb
from anymask.formats.labelme import find_image, is_labelme, read_objects, stated_size


class LabelMeDataset:
    """Images with masks from a folder of LabelMe's JSON files.

    Polygons, rectangles, circles and masks are objects; points and lines have no area and are left out. Shapes with
    the same label and ``group_id`` are parts of one object. The image is the file that ``imagePath`` names, relative
    to the JSON; where that is missing, the ``imageData`` inside the JSON, else an image of the same name beside it.

    Args:
        folder: the folder; sub-folders are searched too.
        split: as for :class:`anymask.formats.coco_dataset.CocoDataset`, by the image's name.
        cache_bytes: decoded images kept in memory.

    Raises:
        DatasetError: the folder holds no such JSON, or one is broken.
    """

    def __init__(self, folder: str | Path, *, split: str = "all", cache_bytes: int = 0) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DatasetError(f"{self.folder} is not a folder")
        self._files: list[tuple[Path, str]] = []
        found = False
        for path in sorted(self.folder.rglob("*.json")):
            content = read_json(path)
            if not is_labelme(content):
                continue
            found = True
            name = _image_name(content, path)
            if content["shapes"] and is_in_split(name, split):
                self._files.append((path, name))
        if not found:
            raise DatasetError(f"{self.folder} holds no JSON file of LabelMe (with shapes)")
        self._cache = ImageCache(cache_bytes)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return self._files[index][1]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path, _ = self._files[index]
        content = read_json(path)
        pixels, source = self._pixels(index, content)
        size = stated_size(content)
        return pixels if size is None else check_size(pixels, size, source)

    def _pixels(self, index: int, content: dict[str, Any]) -> tuple[NDArray[np.uint8], Path | str]:
        path, name = self._files[index]
        image = find_image(content, path)
        if image is None:
            named = path.parent / PureWindowsPath(str(content.get("imagePath") or name)).as_posix()
            raise DatasetError(
                f"{path} is for the image {content.get('imagePath')}, which is not at {named}, and holds no imageData; "
                "put the image beside the JSON"
            )
        if isinstance(image, bytes):
            source = f"inside {path}"
            return read_rgb(image, source), source
        return self._cache.get(index, image), image

    def _objects(self, index: int) -> list[tuple[str, Rle]]:
        path, _ = self._files[index]
        content = read_json(path)
        size = stated_size(content)
        if size is None:
            height, width, _ = self._pixels(index, content)[0].shape
            size = height, width
        return read_objects(content, size, path)

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return [mask for _, mask in self._objects(index)]

    def categories(self, index: int) -> list[str]:
        """Give the label of each mask of image ``index``."""
        return [label for label, _ in self._objects(index)]


def _image_name(content: dict[str, Any], path: Path) -> str:
    given = content.get("imagePath")
    return PureWindowsPath(given).name if isinstance(given, str) and given else path.with_suffix(".png").name
