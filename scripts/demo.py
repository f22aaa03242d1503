"""Segments photographs by a point, a box and several points, and says what to try next."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

from PIL import Image

import anymask
from anymask.draw import overlay
from anymask.formats import to_record, write_folder
from anymask.segment.pixels import read_image

# Public-domain photographs that scikit-image carries, with prompts for an object in each.
SAMPLES = {
    "camera": {
        "point": [(240, 150)],
        "box": (0, 60, 395, 511),
        "points": ([(240, 150), (120, 420), (450, 300)], [1, 1, 0]),
    },
    "coffee": {
        "point": [(285, 170)],
        "box": (70, 10, 485, 385),
        "points": ([(285, 170), (100, 230), (560, 60)], [1, 1, 0]),
    },
    "astronaut": {
        "point": [(225, 120)],
        "box": (30, 5, 440, 511),
        "points": ([(225, 120), (200, 380), (430, 150)], [1, 1, 0]),
    },
}


def prompts_for_any(width: int, height: int) -> dict[str, object]:
    """Guess prompts for an unknown picture: its middle, and the middle half of it."""
    middle = (width / 2, height / 2)
    return {
        "point": [middle],
        "box": (width * 0.2, height * 0.2, width * 0.8, height * 0.8),
        "points": ([middle, (width * 0.02, height * 0.02)], [1, 0]),
    }


def main() -> None:
    """Run the demonstration on the picture named on the command line, or on the samples."""
    out = Path("out")
    model = anymask.load()
    print(f"{model} is loaded; it came with the package.")
    if len(sys.argv) > 1:
        pixels = read_image(sys.argv[1])
        pictures = {Path(sys.argv[1]).stem: (pixels, prompts_for_any(pixels.shape[1], pixels.shape[0]))}
    else:
        from skimage import data

        pictures = {name: (read_image(getattr(data, name)()), prompts) for name, prompts in SAMPLES.items()}
    for name, (pixels, prompts) in pictures.items():
        started = time.perf_counter()
        photo = model.encode(pixels)
        encoded = time.perf_counter()
        asked = {
            "box": {"box": prompts["box"]},
            "point": {"points": prompts["point"]},
            "points": {"points": prompts["points"][0], "labels": prompts["points"][1]},
        }
        print(f"{name}: encoded in {encoded - started:.2f} s")
        best = None
        for kind, prompt in asked.items():
            # More points refine the first click's mask, as they do when somebody clicks.
            best = photo.segment(**prompt, mask=best if kind == "points" else None)[0]
            drawing = overlay(
                pixels,
                best,
                points=prompt.get("points"),
                point_labels=prompt.get("labels"),
                boxes=[prompt["box"]] if "box" in prompt else None,
            )
            record = to_record(name, best, model=model.name)
            write_folder(out, f"{name}-{kind}", pixels, best, Image.fromarray(drawing), record)
            print(f"  by {kind:6s} predicted IoU {best.scores[0]:.2f}  out/{name}-{kind}-overlay.png")
    example = shlex.quote(sys.argv[1]) if len(sys.argv) > 1 else "photo.jpg"
    print(
        "\nNext:\n"
        f"  .venv/bin/anymask segment {example} --point 240,180            # pixels from the top left corner\n"
        f"  .venv/bin/anymask segment {example} --box 80,60,470,350 --point 90,70:bg\n"
        "  .venv/bin/anymask --help"
    )


if __name__ == "__main__":
    try:
        main()
    except anymask.AnymaskError as error:
        sys.exit(f"demo: {error}")
