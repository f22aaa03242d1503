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
from anymask.segment.pixels import read_image
from demo import SAMPLES

# A click where the model goes wrong: fur, pale on pale.
FAILURES = {"chelsea": (225, 90), "astronaut": (395, 150)}
IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Write demo.jpg (a row for each photograph, a column for each kind of prompt) and failures.jpg."""
    model = anymask.load()
    rows = []
    for name, prompts in SAMPLES.items():
        pixels = read_image(np.asarray(getattr(data, name)()))
        photo = model.encode(pixels)
        points, labels = prompts["points"]
        clicked = photo.segment(points=prompts["point"])[0]
        refined = photo.segment(points=points, labels=labels, mask=clicked)
        pictures = [
            overlay(pixels, clicked, points=prompts["point"]),
            overlay(pixels, photo.segment(box=prompts["box"]), boxes=[prompts["box"]]),
            overlay(pixels, refined, points=points, point_labels=labels),
        ]
        height = 260
        width = round(height * 4 / 3)
        rows.append(np.concatenate([np.asarray(Image.fromarray(one).resize((width, height))) for one in pictures], 1))
    IMAGES.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(IMAGES / "demo.jpg", quality=88)
    failures = []
    for name, point in FAILURES.items():
        pixels = read_image(np.asarray(getattr(data, name)()))
        best = model.encode(pixels).segment(points=[point])[0]
        failures.append(np.asarray(Image.fromarray(overlay(pixels, best, points=[point])).resize((346, 260))))
    Image.fromarray(np.concatenate(failures, 1)).save(IMAGES / "failures.jpg", quality=88)


if __name__ == "__main__":
    main()
