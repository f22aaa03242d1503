"""The log of a training run as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

from anymask.atomic import write_atomically
from anymask.segment.errors import MissingPackageError


def plot_log(log: Path, picture: Path) -> None:
    """Plot the losses and IoUs of ``log.csv`` over all steps.

    Args:
        log: the CSV that the trainer wrote.
        picture: the PNG to write.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("plots need matplotlib: pip install 'anymask[train]'") from error
    if not log.is_file():
        return
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return
    ends: dict[int, int] = {}
    for row in rows:
        ends[int(row["phase"])] = max(ends.get(int(row["phase"]), 0), int(row["step"]))
    starts = {phase: sum(end for other, end in ends.items() if other < phase) for phase in ends}
    steps = [starts[int(row["phase"])] + int(row["step"]) for row in rows]
    figure = Figure(figsize=(9, 7), layout="constrained")
    losses, ious = figure.subplots(2, 1, sharex=True)
    losses.plot(steps, [float(row["loss"] or "nan") for row in rows])
    losses.set_ylabel("loss")
    for key, label in (
        ("first_iou", "one click, best of three"), ("box_iou", "box"), ("last_iou", "after the last round")
    ):  # fmt: skip
        ious.plot(steps, [float(row[key] or "nan") for row in rows], label=label)
    ious.set_ylabel("mean IoU in training")
    ious.set_xlabel("step")
    ious.legend()
    for axes in (losses, ious):
        axes.grid(alpha=0.3)
        for start in list(starts.values())[1:]:
            axes.axvline(start, color="grey", linewidth=0.8)
    write_atomically(picture, lambda path: figure.savefig(path, dpi=110))
