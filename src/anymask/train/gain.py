"""What fine-tuning gained: the same clicks on the same masks, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from anymask.evaluate.report import ClickReport, MaskRow
from anymask.evaluate.statistics import Interval, mean_interval, paired_difference

FIGURES: dict[str, tuple[str, Callable[[MaskRow], float]]] = {
    "box": ("from a box", lambda row: row.box_iou),
    "click_1_best": ("1 click, best of 3", lambda row: max(row.click_1_ious)),
    "click_1": ("1 click, by score", lambda row: row.iou_after(1)),
    "click_3": ("3 clicks", lambda row: row.iou_after(3)),
    "click_5": ("5 clicks", lambda row: row.iou_after(5)),
}
"""What is compared: a label, and the figure of one mask. The key is that of the click report."""


@dataclass(frozen=True)
class Gain:
    """One figure before and after, over the same masks.

    Attributes:
        before: mean IoU of the model as it was, with its 95% interval over images.
        after: mean IoU of the fine-tuned model.
        difference: after − before, paired mask by mask.
    """

    before: Interval
    after: Interval
    difference: Interval

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return the three intervals for JSON."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "difference": self.difference.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Gain:
        """Read what :meth:`to_dict` gave."""
        parts = ("before", "after", "difference")
        ends = ("mean", "low", "high")
        return cls(
            *(
                Interval(*(np.nan if content[part][end] is None else content[part][end] for end in ends))
                for part in parts
            )
        )


def overall(row: MaskRow) -> float:
    """Average what one mask scored from a box and after one, three and five clicks."""
    return float(np.mean([row.box_iou, row.iou_after(1), row.iou_after(3), row.iou_after(5)]))


def compare(before: ClickReport, after: ClickReport) -> dict[str, Gain]:
    """Compare two evaluations of the same masks.

    Returns:
        For each of FIGURES, and "overall" (see :func:`overall`), the gain.
    """
    assert [(row.image, row.mask) for row in before.rows] == [(row.image, row.mask) for row in after.rows]
    images = [row.image for row in before.rows]
    measures = {key: measure for key, (_, measure) in FIGURES.items()} | {"overall": overall}
    gains = {}
    for key, measure in measures.items():
        first, second = [measure(row) for row in before.rows], [measure(row) for row in after.rows]
        gains[key] = Gain(
            mean_interval(first, images), mean_interval(second, images), paired_difference(second, first, images)
        )
    return gains


def judge(gain: Gain) -> str:
    """Say what an overall gain means: "better", "unclear" (more on average, but it may be chance) or "unchanged".

    "unchanged" stands for a model that is not better on average and is therefore not kept.
    """
    if not gain.difference.mean > 0:
        return "unchanged"
    return "better" if gain.difference.low > 0 else "unclear"


def gain_table(gains: dict[str, Gain], title: str) -> Table:
    """Return the gains as a table for the terminal."""
    table = Table(
        title=title,
        caption="Mean IoU, 95%: interval over images. The difference is paired, mask by mask.",
        box=box.SIMPLE,
        padding=0,
        show_edge=False,
    )
    for header in ("", "before", "95%", "after", "95%", "gain", "95%"):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    for key, gain in gains.items():
        if key == "overall":
            table.add_section()
        label = FIGURES[key][0] if key in FIGURES else "all of them"
        table.add_row(label, *_texts(gain.before), *_texts(gain.after), *_texts(gain.difference, "+.3f"))
    return table


def _texts(interval: Interval, form: str = ".3f") -> tuple[str, str]:
    ends = f"{interval.low:{form}}…{interval.high:{form}}" if np.isfinite(interval.low) else ""
    return f"{interval.mean:{form}}", ends


def most_to_least(before: Sequence[MaskRow], after: Sequence[MaskRow], count: int) -> list[str]:
    """Choose images from the most improved to the least, evenly spaced in between."""
    differences: dict[str, list[float]] = {}
    for first, second in zip(before, after, strict=True):
        differences.setdefault(first.image, []).append(overall(second) - overall(first))
    ranked = sorted(differences, key=lambda name: -float(np.mean(differences[name])))
    if len(ranked) <= count:
        return ranked
    return [ranked[round(place * (len(ranked) - 1) / (count - 1))] for place in range(count)]
