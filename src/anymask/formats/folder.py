"""A folder of results that a person looks at: overlay, masks, cut-outs and their JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.atomic import write_atomically
from anymask.segment.masks import Masks


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
        name: begins every file's name.
        image: RGB uint8 ``[H, W, 3]``.
        masks: its masks.
        overlay: the drawing of the masks on the image, or None for none.
        record: see :func:`anymask.formats.to_record`; the names of the files are added to each of its masks.

    Returns:
        The files: ``NAME-overlay.png`` where one was given, for each mask ``NAME-mask-K.png`` (0 and 255) and
        ``NAME-cutout-K.png`` (RGBA, cropped; not for an empty mask), and ``NAME.json`` last.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def save(picture: Image.Image, file_name: str) -> str:
        write_atomically(folder / file_name, lambda path: picture.save(path))
        written.append(folder / file_name)
        return file_name

    if overlay is not None:
        record = {**record, "overlay": save(overlay, f"{name}-overlay.png")}
    annotations = []
    for index, annotation in enumerate(record["masks"]):
        pixels = masks.mask(index).astype(np.uint8) * 255
        files = {"mask_file": save(Image.fromarray(pixels), f"{name}-mask-{index}.png")}
        if masks.areas[index] > 0:
            cut_out = Image.fromarray(masks.cut_out(image, index))
            files["cut_out_file"] = save(cut_out, f"{name}-cutout-{index}.png")
        annotations.append({**annotation, **files})
    text = json.dumps({**record, "masks": annotations}, indent=1)
    path = folder / f"{name}.json"
    write_atomically(path, lambda beside: beside.write_text(text))
    return [*written, path]
