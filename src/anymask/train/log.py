"""The tables that training runs write, first of all the log: one row of means every so many steps."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anymask.atomic import write_atomically

LOG_COLUMNS = (
    "phase", "step", "seconds", "rate", "loss", "first_iou", "box_iou", "last_iou", "iou_error", "gradient"
)  # fmt: skip


def _written(row: Mapping[str, Any]) -> dict[str, Any]:
    # Whole numbers stay whole: a millionth step must not become 1e+06.
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file, whole or not at all; numbers that are not whole have six digits."""

    def write(target: Path) -> None:
        # A file's name need not be text.
        with target.open("w", newline="", errors="surrogateescape") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(map(_written, rows))

    write_atomically(path, write)


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
    write_table(path, LOG_COLUMNS, rows)


def append_to_log(path: Path, row: Mapping[str, float]) -> None:
    """Write one row at the end of the log, which begins with it where there is none."""
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(_written(row))
