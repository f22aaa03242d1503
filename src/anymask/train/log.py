"""The log of a training run: one row of means every so many steps."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from anymask.atomic import write_atomically

LOG_COLUMNS = (
    "phase", "step", "seconds", "rate", "loss", "first_iou", "box_iou", "last_iou", "iou_error", "gradient"
)  # fmt: skip


def cut_log(path: Path, phase: int, step: int) -> None:
    """Drop rows that were logged after (``phase``, ``step``), and one that a crash cut short."""
    if not path.is_file():
        return
    with path.open(newline="") as file:
        # A row that was cut short lacks columns.
        rows = [
            row
            for row in csv.DictReader(file)
            if None not in row.values() and (int(row["phase"]), int(row["step"])) <= (phase, step)
        ]

    def write(target: Path) -> None:
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, LOG_COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, write)


def append_to_log(path: Path, row: Mapping[str, float]) -> None:
    """Write one row at the end of the log, which begins with it where there is none."""
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS)
        if new:
            writer.writeheader()
        # Whole numbers stay whole: a millionth step must not become 1e+06.
        writer.writerow({key: value if isinstance(value, int) else f"{value:.6g}" for key, value in row.items()})
