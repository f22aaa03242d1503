"""A folder of results that a person looks at: overlay, masks, cut-outs and their JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.format import put_file
from anymask.segment.masks import Masks


def folder_files(
    name: str, image: NDArray[np.uint8], masks: Masks, overlay: NDArray[np.uint8] | None, record: dict[str, Any]
) -> Iterator[tuple[str, bytes]]:
    """Yield everything about one segmented image: names of files, and what is in them.

    Args:
        name: begins every file's name.
        image: RGB uint8 ``[H, W, 3]``.
        masks: its masks.
        overlay: the drawing of the masks on the image, RGB uint8 ``[H, W, 3]``, or None for none.
        record: see :func:`anymask.formats.to_record`; the names of the files are added to each of its masks.

    Yields:
        ``NAME-overlay.png`` where one was given, for each mask ``NAME-mask-K.png`` (0 and 255) and
        ``NAME-cutout-K.png`` (RGBA, cropped; not for an empty mask), and ``NAME.json`` last.
    """
    bare = name.rpartition("/")[2]
    if overlay is not None:
        yield f"{name}-overlay.png", _png(overlay)
        record = {**record, "overlay": f"{bare}-overlay.png"}
    annotations = []
    for index, annotation in enumerate(record["masks"]):
        yield f"{name}-mask-{index}.png", _png(masks.mask(index).astype(np.uint8) * np.uint8(255))
        files = {"mask_file": f"{bare}-mask-{index}.png"}
        if masks.areas[index] > 0:
            yield f"{name}-cutout-{index}.png", _png(masks.cut_out(image, index))
            files["cut_out_file"] = f"{bare}-cutout-{index}.png"
        annotations.append({**annotation, **files})
    yield f"{name}.json", json.dumps({**record, "masks": annotations}, indent=1).encode()


def write_folder(
    folder: str | Path,
    name: str,
    image: NDArray[np.uint8],
    masks: Masks,
    overlay: Image.Image | None,
    record: dict[str, Any],
) -> list[Path]:
    """Write everything about one segmented image, each file whole or not at all.

    Args:
        folder: made if it is missing.
        name, image, masks, overlay, record: as for :func:`folder_files`.

    Returns:
        The files.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = None if overlay is None else np.asarray(overlay.convert("RGB"))
    return [put_file(folder, file, content) for file, content in folder_files(name, image, masks, drawn, record)]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
