"""A picture of a few validation images: the truth, and what the model says before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anymask.atomic import write_atomically
from anymask.draw.fitting import fit
from anymask.draw.overlay import overlay
from anymask.draw.palette import assign_colors
from anymask.evaluate.clicks import PromptedSegmenter
from anymask.evaluate.robot import first_click
from anymask.formats.datasets import InstanceDataset
from anymask.segment.masks import Masks
from anymask.segment.prompts import Prompt

MASKS_AN_IMAGE = 16
PANEL = 320
"""Width and height in pixels that a panel fills at most, and small images are enlarged to."""

_MARGIN, _HEADER = 8, 26


def draw_contact_sheet(
    dataset: InstanceDataset,
    names: Sequence[str],
    before: PromptedSegmenter,
    after: PromptedSegmenter,
    path: Path,
) -> None:
    """Write a PNG with a row for each image: the truth with the clicks, then each model's answers to one click.

    Args:
        dataset: holds the images.
        names: which of them, in this order.
        before: the model as it was.
        after: the fine-tuned model.
        path: the file to write.
    """
    positions = {dataset.name(index): index for index in range(len(dataset))}
    rows = [_panels(dataset, positions[name], before, after) for name in names]
    width = 3 * PANEL + 4 * _MARGIN
    height = _HEADER + sum(max(panel.shape[0] for panel in row) + _MARGIN for row in rows)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    top = _HEADER
    for column, title in enumerate(("truth, and the clicks", "before", "after")):
        draw.text((_MARGIN + column * (PANEL + _MARGIN), 5), title, fill="black", font=font)
    for row in rows:
        for column, panel in enumerate(row):
            sheet.paste(Image.fromarray(panel), (_MARGIN + column * (PANEL + _MARGIN), top))
        top += max(panel.shape[0] for panel in row) + _MARGIN
    write_atomically(path, lambda beside: sheet.save(beside, format="PNG"))


def _panels(
    dataset: InstanceDataset, index: int, before: PromptedSegmenter, after: PromptedSegmenter
) -> list[NDArray[np.uint8]]:
    image = dataset.image(index)
    truth = Masks.from_rles(dataset.masks(index))
    truth = truth[np.flatnonzero(truth.areas > 0)]
    if len(truth) > MASKS_AN_IMAGE:
        chosen = np.random.default_rng(0).choice(len(truth), MASKS_AN_IMAGE, replace=False)
        truth = truth[np.sort(chosen)]
    clicks = [first_click(truth.mask(position)) for position in range(len(truth))]
    points = [(click.x, click.y) for click in clicks if click is not None]
    colors = assign_colors(truth)
    panels = [_enlarged(image, truth, colors, points)]
    for segmenter in (before, after):
        answers = segmenter.encode(image).segment_many([Prompt(points=[point], multimask=True) for point in points])
        assert answers.prompt is not None
        # The answers to one click are ordered by score, best first.
        best = [int(np.flatnonzero(answers.prompt == number)[0]) for number in range(len(points))]
        panels.append(_enlarged(image, answers[np.array(best)], colors, None))
    return panels


def _enlarged(
    image: NDArray[np.uint8], masks: Masks, colors: NDArray[np.uint8], points: Sequence[tuple[float, float]] | None
) -> NDArray[np.uint8]:
    """Paint contours at the panel's size, so that lines stay thin on small images."""
    scale = PANEL / max(image.shape[:2])
    panel = overlay(*fit(image, masks, PANEL), alpha=0.15, colors=colors)
    for x, y in points or ():
        # A star would hide what is small.
        centre = (round((x + 0.5) * scale), round((y + 0.5) * scale))
        cv2.circle(panel, centre, 3, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.circle(panel, centre, 2, (255, 255, 255), -1, cv2.LINE_AA)
    return panel
