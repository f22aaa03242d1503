"""Segments photographs by a point, a box and several points, and says what to try next; or opens the studio on them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from PIL import Image

import anymask
from anymask.atomic import write_atomically
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


def copy_photographs(folder: Path) -> None:
    """Write photographs for the studio into ``folder``, those that are there already left as they are."""
    from skimage import data

    folder.mkdir(parents=True, exist_ok=True)
    for name in (*SAMPLES, "chelsea", "rocket"):
        path = folder / f"{name}.png"
        if not path.exists():
            photograph = Image.fromarray(read_image(getattr(data, name)()))
            write_atomically(path, lambda place, photograph=photograph: photograph.save(place, format="PNG"))


def main() -> None:
    """Run the demonstration on the picture named on the command line, or on the samples."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("given", nargs="?", metavar="PHOTO", help="with --studio, a folder of them")
    parser.add_argument("--studio", action="store_true", help="open the studio instead")
    options = parser.parse_args()
    out, photographs = Path("out"), Path("out") / "photographs"
    if not options.given:
        copy_photographs(photographs)
    if options.studio:
        command = [sys.executable, "-m", "anymask", "studio", options.given or str(photographs)]
        os.execv(command[0], command)
    model = anymask.load()
    print(f"{model} is loaded; it came with the package.")
    if options.given:
        pixels = read_image(options.given)
        pictures = {Path(options.given).stem: (pixels, prompts_for_any(pixels.shape[1], pixels.shape[0]))}
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
    example = shlex.quote(options.given or str(photographs / "astronaut.png"))
    here = shlex.quote(options.given or str(photographs))
    print(
        "\nNext:\n"
        f"  .venv/bin/anymask segment {example} --point 240,180  # pixels from the top left corner\n"
        f"  .venv/bin/anymask segment {example} --box 80,60,470,350 --point 90,70:bg\n"
        f"  .venv/bin/anymask studio {here}  # the same by mouse, in the browser\n"
        "  .venv/bin/anymask --help"
    )


if __name__ == "__main__":
    try:
        main()
    except anymask.AnymaskError as error:
        sys.exit(f"demo: {error}")
