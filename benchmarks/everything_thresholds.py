"""Chooses a model's thresholds of everything mode: what each pair of them leaves of fully annotated photographs.

Run: python benchmarks/everything_thresholds.py --data coco [--model pocket] [--points-per-side 16]
Prints a line for each pair: how many masks a photograph has, what they are, and how many objects they find.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import anymask
from anymask.formats.coco_dataset import CocoDataset
from anymask.segment.masks import Masks
from anymask.segment.suppression import suppress

OBJECT, PART, ELSEWHERE, WRONG = range(4)


def kinds(masks: Masks, objects: Masks) -> NDArray[np.int64]:
    """Tell for each mask what it is.

    An object: IoU of at least 0.5 with an annotated one. A part: nine tenths of it lie in one. Elsewhere: it leaves out
    or takes in whole objects only, as a wall or a group does, of which the annotations say nothing. Wrong: it cuts one.
    """
    iou = masks.iou(objects)
    areas = masks.areas[:, None] + objects.areas[None]
    shared = areas * iou / (1 + iou)
    of_mask, of_object = shared / masks.areas[:, None], shared / objects.areas[None]
    cuts = (of_mask > 0.1) & (of_object > 0.1) & (of_object < 0.9)
    kind = np.where(cuts.any(axis=1), WRONG, ELSEWHERE)
    kind[(of_mask >= 0.9).any(axis=1)] = PART
    kind[(iou >= 0.5).any(axis=1)] = OBJECT
    return kind


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="COCO folder; its exhaustive held-out images are used")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--points-per-side", type=int, default=16)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--pred-iou", type=numbers, default=[0.3, 0.35, 0.4, 0.45, 0.5, 0.6])
    parser.add_argument("--stability", type=numbers, default=[0.0, 0.2, 0.3, 0.4, 0.6])
    options = parser.parse_args()

    model = anymask.load(options.model)
    data = CocoDataset(options.data, split="validation", only_exhaustive=True)
    found: list[tuple[Masks, Masks]] = []
    for index in track(range(min(options.photos, len(data))), console=Console(stderr=True)):
        photo = model.encode(data.image(index))
        # Duplicates stay, because which of them go depends on the thresholds.
        masks = photo.segment_everything(
            points_per_side=options.points_per_side,
            pred_iou_thresh=min(options.pred_iou),
            stability_score_thresh=min(options.stability),
            box_nms_thresh=1.0,
        )
        found.append((masks, Masks(data.masks(index), photo.size)))

    table = Table(
        title=f"{model.name}, {len(found)} photographs, {options.points_per_side}x{options.points_per_side} points"
    )
    for name in ("IoU >", "stability", "masks", "10%", "90%", "none", "object", "part", "elsewhere", "wrong", "recall"):
        table.add_column(name, justify="right")
    for pred_iou, stability in itertools.product(options.pred_iou, options.stability):
        counts, recalls, judged = [], [], np.zeros(4)
        for masks, objects in found:
            assert masks.scores is not None
            assert masks.stability is not None
            good = masks[(masks.scores > pred_iou) & (masks.stability >= stability)]
            kept = good[suppress(good.boxes - [0, 0, 1, 1], good.scores, 0.7)]
            counts.append(len(kept))
            if len(kept):
                judged += np.bincount(kinds(kept, objects), minlength=4)
            recalls += (kept.iou(objects).max(axis=0, initial=0) >= 0.5).tolist()
        low, middle, high = np.percentile(counts, [10, 50, 90])
        shares = judged / max(judged.sum(), 1)
        table.add_row(
            f"{pred_iou:.2f}",
            f"{stability:.2f}",
            *(f"{value:.0f}" for value in (middle, low, high)),
            f"{counts.count(0)}",
            *(f"{share:.0%}" for share in shares),
            f"{np.mean(recalls):.0%}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
