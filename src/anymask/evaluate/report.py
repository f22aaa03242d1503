"""What a click evaluation found: rows of single masks, averages with intervals, a table, JSON.

The JSON of :meth:`ClickReport.to_dict`, whose keys stay as they are within one ``version``. Every
``interval`` is ``{"mean", "low", "high"}``, the mean over masks with its 95% bootstrap interval over images,
null where undefined::

    format, version    "anymask-click-report", 1
    model, data        names
    settings           max_clicks, thresholds, min_area, max_masks_per_image, max_images,
                       refine_with_mask, baselines, confidence, resamples
    groups             "all"; "small", "medium", "large" (area below 32², below 96², and the rest, in pixels
                       of the data set's own images); "person" and "other" where the data has persons.
                       Empty groups are left out. In each:
      images, masks    how many
      iou              "box", "click_1_best" (oracle: the best of the three masks), "click_1" (the one
                       chosen by score), "click_2", "click_3", "click_5", "click_10", "click_20" as far
                       as max_clicks goes: interval
      clicks_to_reach  by threshold in percent, "85" and "90": "clicks" (interval; NoC, max_clicks where
                       never reached) and "never" (interval of the share of masks that never reach it)
      scores           how honest the predicted IoU is; "box", "click_1" (the chosen mask), "click_1_all"
                       (each of the three): "absolute_error" (interval of |predicted − actual|),
                       "rank_correlation" (Spearman)
      baselines        with baselines: "filled_box", "grab_cut": interval of their IoU from the same box
      differences      with baselines: "box_minus_filled_box", "box_minus_grab_cut": interval of the paired
                       difference between the model's IoU from the box and the baseline's
    rows               on demand, one a mask: image, mask (its position in the data set's image), category,
                       area, box_iou, box_score, click_1_ious and click_1_scores (three, best score first),
                       click_ious (after each click, until the robot stopped), filled_box_iou, grab_cut_iou
                       (null without)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError
from anymask.evaluate.statistics import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    finite,
    mean_interval,
    paired_difference,
    rank_correlation,
)

REPORTED_CLICKS = (1, 2, 3, 5, 10, 20)
"""Numbers of clicks after which the IoU is reported."""

SMALL_AREA, MEDIUM_AREA = 32**2, 96**2
"""COCO's bounds in pixels: small is below the first, medium below the second, large the rest."""


_Figure = Interval | float


class ReportError(AnymaskError, OSError):
    """A report cannot be written; the message says where and why."""


@dataclass(frozen=True)
class MaskRow:
    """What happened to one mask.

    Attributes:
        image: name of the image.
        mask: position of the mask among those of the image in the data set.
        category: its category's name, "" where there is none.
        area: of the true mask, in pixels.
        box_iou: IoU of the model's single mask from the true box.
        box_score: the IoU that the model predicted for it.
        click_1_ious: IoU of each mask after the first click, best predicted score first.
        click_1_scores: the predicted IoU of each.
        click_ious: IoU after each click until the robot stopped; the first is ``click_1_ious[0]``.
        filled_box_iou: IoU of the filled box, None without baselines.
        grab_cut_iou: IoU of GrabCut, None without baselines.
    """

    image: str
    mask: int
    category: str
    area: int
    box_iou: float
    box_score: float
    click_1_ious: tuple[float, ...]
    click_1_scores: tuple[float, ...]
    click_ious: tuple[float, ...]
    filled_box_iou: float | None = None
    grab_cut_iou: float | None = None

    @property
    def size(self) -> str:
        """Return "small", "medium" or "large" by COCO's bounds."""
        return "small" if self.area < SMALL_AREA else "medium" if self.area < MEDIUM_AREA else "large"

    def iou_after(self, clicks: int) -> float:
        """Return the IoU after so many clicks; where the robot stopped earlier, the IoU it stopped at."""
        return self.click_ious[min(clicks, len(self.click_ious)) - 1]

    def clicks_to_reach(self, threshold: float) -> int | None:
        """Return after how many clicks the IoU first was at least the threshold; None if never."""
        return next((count for count, iou in enumerate(self.click_ious, 1) if iou >= threshold), None)


@dataclass(frozen=True)
class ClickSettings:
    """How a click evaluation was run; see :func:`anymask.evaluate.clicks.evaluate_clicks`."""

    max_clicks: int = 20
    thresholds: tuple[float, ...] = (0.85, 0.90)
    min_area: int = 1
    max_masks_per_image: int | None = None
    max_images: int | None = None
    refine_with_mask: bool = True
    baselines: bool = True


@dataclass(frozen=True)
class Reach:
    """The number of clicks to a threshold (NoC).

    Attributes:
        clicks: mean number of clicks, counting ``max_clicks`` where the threshold was never reached.
        never: share of the masks that never reached it.
    """

    clicks: Interval
    never: Interval


@dataclass(frozen=True)
class Honesty:
    """How well the predicted IoU tells the actual one.

    Attributes:
        absolute_error: mean of |predicted − actual|.
        rank_correlation: Spearman's, NaN where undefined.
    """

    absolute_error: Interval
    rank_correlation: float


@dataclass(frozen=True)
class GroupSummary:
    """The figures of a group of masks; the keys are those of the JSON, stated at the top of this module."""

    images: int
    masks: int
    iou: Mapping[str, Interval]
    clicks_to_reach: Mapping[str, Reach]
    scores: Mapping[str, Honesty]
    baselines: Mapping[str, Interval]
    differences: Mapping[str, Interval]


@dataclass(frozen=True)
class ClickReport:
    """The outcome of :func:`anymask.evaluate.clicks.evaluate_clicks`.

    Attributes:
        model: what the model is called.
        data: what the data set is called.
        settings: how it was run.
        rows: one a mask.
    """

    model: str
    data: str
    settings: ClickSettings
    rows: Sequence[MaskRow]

    @cached_property
    def groups(self) -> dict[str, GroupSummary]:
        """The figures of all masks, by size, and of persons and the rest; empty groups are left out."""
        chosen = {"all": list(self.rows)}
        for size in ("small", "medium", "large"):
            chosen[size] = [row for row in self.rows if row.size == size]
        persons = [row for row in self.rows if row.category == "person"]
        if persons:
            chosen["person"] = persons
            chosen["other"] = [row for row in self.rows if row.category != "person"]
        return {name: _summarise(rows, self.settings) for name, rows in chosen.items() if rows}

    def to_dict(self, *, rows: bool = False) -> dict[str, Any]:
        """Return everything as what ``json.dumps`` takes; the keys are stated at the top of this module.

        Args:
            rows: whether the single masks are in it.
        """
        settings = {**asdict(self.settings), "thresholds": list(self.settings.thresholds)}
        content: dict[str, Any] = {
            "format": "anymask-click-report",
            "version": 1,
            "model": self.model,
            "data": self.data,
            "settings": {**settings, "confidence": CONFIDENCE, "resamples": RESAMPLES},
            "groups": {name: _to_json(summary) for name, summary in self.groups.items()},
        }
        if rows:
            content["rows"] = [_to_json(row) for row in self.rows]
        return content

    def save(self, path: str | Path, *, rows: bool = True) -> None:
        """Write the JSON to a file, whole or not at all.

        Raises:
            ReportError: the file cannot be written.
        """
        text = json.dumps(self.to_dict(rows=rows), indent=1, allow_nan=False) + "\n"
        try:
            write_atomically(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise ReportError(f"cannot write the report {path}: {error.strerror or error}") from error

    def table(self) -> Table:
        """Return the figures as a table for the terminal: a column a group, and the interval of all masks."""
        table = Table(
            title=f"{self.model} on {self.data}" if self.data else self.model,
            caption="95%: interval of all, over images. Areas: below 32², 96² pixels, the rest.",
            box=box.SIMPLE,
            padding=0,
            show_edge=False,
        )
        columns = list(self.groups.values())
        first, *others = self.groups
        for header in ("", first, "95%", *others):
            table.add_column(header, justify="right" if header else "left", no_wrap=bool(header))
        for section in _table_sections(columns):
            for label, figures, digits in section:
                means = [_mean(figure, digits) for figure in figures]
                table.add_row(label, means[0], _ends(figures[0], digits), *means[1:])
            table.add_section()
        return table


def _summarise(rows: Sequence[MaskRow], settings: ClickSettings) -> GroupSummary:
    images = [row.image for row in rows]
    iou = {
        "box": mean_interval([row.box_iou for row in rows], images),
        "click_1_best": mean_interval([max(row.click_1_ious) for row in rows], images),
    }
    for count in REPORTED_CLICKS:
        if count <= settings.max_clicks:
            iou[f"click_{count}"] = mean_interval([row.iou_after(count) for row in rows], images)
    reach = {}
    for threshold in settings.thresholds:
        counts = [row.clicks_to_reach(threshold) for row in rows]
        reach[percent(threshold)] = Reach(
            mean_interval([count or settings.max_clicks for count in counts], images),
            mean_interval([count is None for count in counts], images),
        )
    three = [
        (score, iou, row.image) for row in rows for score, iou in zip(row.click_1_scores, row.click_1_ious, strict=True)
    ]
    scores = {
        "box": _honesty([(row.box_score, row.box_iou, row.image) for row in rows]),
        "click_1": _honesty([(row.click_1_scores[0], row.click_1_ious[0], row.image) for row in rows]),
        "click_1_all": _honesty(three),
    }
    baselines, differences = {}, {}
    if settings.baselines:
        box_ious = [row.box_iou for row in rows]
        for name in ("filled_box", "grab_cut"):
            theirs = [getattr(row, f"{name}_iou") for row in rows]
            baselines[name] = mean_interval(theirs, images)
            differences[f"box_minus_{name}"] = paired_difference(box_ious, theirs, images)
    return GroupSummary(len(set(images)), len(rows), iou, reach, scores, baselines, differences)


def _honesty(triples: Sequence[tuple[float, float, str]]) -> Honesty:
    scores = np.array([score for score, _, _ in triples])
    ious = np.array([iou for _, iou, _ in triples])
    error = mean_interval(np.abs(scores - ious), [image for _, _, image in triples])
    return Honesty(error, rank_correlation(scores, ious))


def percent(threshold: float) -> str:
    """Return a share as it is named in tables and JSON: "85" for 0.85, "87.5" for 0.875."""
    return f"{100 * threshold:g}"


def _to_json(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_dict()
    if isinstance(value, MaskRow | GroupSummary | Reach | Honesty):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return finite(value) if isinstance(value, float) else value


def _table_sections(columns: Sequence[GroupSummary]) -> list[list[tuple[str, list[_Figure], int]]]:
    """Return the sections of the table: label, the figure of each group, and its decimals."""
    first = columns[0]
    sections: list[list[tuple[str, list[_Figure], int]]] = [
        [
            ("images", [column.images for column in columns], 0),
            ("masks", [column.masks for column in columns], 0),
        ],
        [(_iou_label(key), [column.iou[key] for column in columns], 3) for key in first.iou],
    ]
    reach: list[tuple[str, list[_Figure], int]] = []
    for key in first.clicks_to_reach:
        reach.append((f"clicks to {key}%", [column.clicks_to_reach[key].clicks for column in columns], 2))
        reach.append((f"never {key}%", [column.clicks_to_reach[key].never for column in columns], 3))
    scores: list[tuple[str, list[_Figure], int]] = []
    for key, label in (("box", "box"), ("click_1", "1 click"), ("click_1_all", "all 3")):
        honesty = [column.scores[key] for column in columns]
        scores.append((f"score error {label}", [one.absolute_error for one in honesty], 3))
        scores.append((f"score rank {label}", [one.rank_correlation for one in honesty], 2))
    beside: list[tuple[str, list[_Figure], int]] = []
    for key, label in (("filled_box", "filled box"), ("grab_cut", "GrabCut")):
        if key in first.baselines:
            beside.append((f"IoU {label}", [column.baselines[key] for column in columns], 3))
            differences: list[_Figure] = [column.differences[f"box_minus_{key}"] for column in columns]
            beside.append((f"box − {label}", differences, 3))
    return [section for section in (*sections, reach, scores, beside) if section]


def _iou_label(key: str) -> str:
    if key == "box":
        return "IoU box"
    count = key.split("_")[1]
    best = ", best of 3" if key.endswith("best") else ""
    return f"IoU {count} click{'' if count == '1' else 's'}{best}"


def _mean(figure: _Figure, digits: int) -> str:
    mean = figure.mean if isinstance(figure, Interval) else figure
    return f"{mean:,.{digits}f}" if np.isfinite(mean) else "–"


def _ends(figure: _Figure, digits: int) -> str:
    # A half width after ± would mislead: intervals of shares near 0 or 1 are lopsided.
    if not isinstance(figure, Interval) or not np.isfinite(figure.high):
        return ""
    return f"{figure.low:.{digits}f}…{figure.high:.{digits}f}"
