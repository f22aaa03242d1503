"""Makes the pictures of the README and of the model card from photographs that scikit-image carries.

Run: python scripts/picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import anymask
from anymask.draw import overlay
from demo import SAMPLES

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Write docs/images/demo.jpg: a row for each photograph, a column for each kind of prompt."""
    model = anymask.load()
    rows = []
    for name, prompts in SAMPLES.items():
        pixels = np.asarray(getattr(data, name)())
        photo = model.encode(pixels)
        points, labels = prompts["points"]
        pictures = [
            overlay(pixels, photo.segment(points=prompts["point"])[0], points=prompts["point"]),
            overlay(pixels, photo.segment(box=prompts["box"]), boxes=[prompts["box"]]),
            overlay(pixels, photo.segment(points=points, labels=labels), points=points, point_labels=labels),
        ]
        height = 260
        width = round(height * 4 / 3)
        rows.append(np.concatenate([np.asarray(Image.fromarray(one).resize((width, height))) for one in pictures], 1))
    IMAGES.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(IMAGES / "demo.jpg", quality=88)


if __name__ == "__main__":
    main()
