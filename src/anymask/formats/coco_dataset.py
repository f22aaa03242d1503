"""Images with masks from a COCO instances file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.formats.instances import DatasetError, ImageCache, Rle, check_size, is_in_split, read_json, to_rle


class CocoDataset:
    """Images with masks from a COCO instances file.

    Args:
        annotations: the JSON file, or a folder that holds ``annotations.json``.
        images: the image folder; ``images`` beside the JSON by default, else the JSON's own folder.
        split: "train" leaves the held-out tenth out (see
            :func:`anymask.formats.instances.is_validation_name`), "validation" is that tenth, "all" is everything.
        cache_bytes: decoded images kept in memory.
        only_exhaustive: leave out images whose entry says ``"exhaustive": false``: not all of their objects are
            annotated, which matters where what is unmarked counts as background, or where they are too many.

    Raises:
        DatasetError: a file is missing or not in COCO's layout.
    """

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path | None = None,
        *,
        split: str = "all",
        cache_bytes: int = 0,
        only_exhaustive: bool = False,
    ) -> None:
        path = Path(annotations)
        if path.is_dir():
            path = path / "annotations.json"
        self.path = path
        content = read_json(path)
        if not isinstance(content, dict) or "images" not in content or "annotations" not in content:
            raise DatasetError(f"{path} is not a COCO instances file: it needs the keys images and annotations")
        beside = path.parent / "images"
        self.folder = Path(images) if images is not None else (beside if beside.is_dir() else path.parent)
        try:
            self._read(content, split, only_exhaustive)
        except (KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{path} is not a COCO instances file: {error!r}") from error
        self._cache = ImageCache(cache_bytes)

    def _read(self, content: dict[str, Any], split: str, only_exhaustive: bool) -> None:
        categories = [one for one in content.get("categories", []) if not one.get("unlabelled")]
        names = {category["id"]: str(category["name"]) for category in categories}
        self._images = [
            entry
            for entry in content["images"]
            if is_in_split(entry["file_name"], split) and (entry.get("exhaustive", True) or not only_exhaustive)
        ]
        self._sizes = {entry["id"]: (int(entry["height"]), int(entry["width"])) for entry in self._images}
        self._masks: dict[Any, list[Rle]] = {key: [] for key in self._sizes}
        self._categories: dict[Any, list[str]] = {key: [] for key in self._sizes}
        for annotation in content["annotations"]:
            key = annotation["image_id"]
            if key not in self._sizes or annotation.get("iscrowd"):
                continue
            rle = to_rle(annotation.get("segmentation"), *self._sizes[key], self.path)
            self._masks[key].append(rle)
            self._categories[key].append(names.get(annotation.get("category_id"), ""))
        self._images = [entry for entry in self._images if self._masks[entry["id"]]]

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Give the file name of image ``index``."""
        return str(self._images[index]["file_name"])

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as RGB ``[H, W, 3]``."""
        path = self.folder / self.name(index)
        return check_size(self._cache.get(index, path), self._sizes[self._images[index]["id"]], path)

    def masks(self, index: int) -> list[Rle]:
        """Give the masks of image ``index`` as compressed RLEs."""
        return self._masks[self._images[index]["id"]]

    def categories(self, index: int) -> list[str]:
        """Give the category name of each mask of image ``index``."""
        return self._categories[self._images[index]["id"]]
