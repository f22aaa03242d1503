"""Runs over many small pictures: does cost grow with them and nothing else, and what does a cluster add?

Run: python benchmarks/runs.py [--counts 10 100 1000] [--repeats 2] [--ray]
Each run is `anymask everything FOLDER --points-per-side 4` in processes of its own; pictures are pieces of 320x240 of
scikit-image's photographs. Seconds are the run's own: loading Python and the model is left out, starting Ray and its
workers is not; the last lines leave that out too, by the difference between the most and the fewest pictures. Memory is
the most that the command and all its processes held at a time, as resident pages, sampled ten times a second; shared
pages count for each process. With --ray, each run is followed by one on a local Ray cluster, and ratios are of these
pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data

POINTS_PER_SIDE = 4


def make_pictures(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    folder.mkdir()
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        y, x = generator.integers(0, height - 240), generator.integers(0, width - 320)
        Image.fromarray(photograph[y : y + 240, x : x + 320]).save(folder / f"{number:06d}.jpg", quality=90)


def resident_megabytes(command: int) -> tuple[float, float]:
    """Of a process, and of it and all that it has started, in megabytes."""
    page = os.sysconf("SC_PAGE_SIZE") / 1e6
    parents, resident = {}, {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(process.name)], resident[int(process.name)] = int(fields[1]), int(fields[21]) * page

    def belongs(number: int) -> bool:
        while number != command and number in parents:
            number = parents[number]
        return number == command

    return resident.get(command, 0.0), sum(megabytes for number, megabytes in resident.items() if belongs(number))


def measure(folder: Path, options: list[str]) -> tuple[float, float, float, dict[str, bytes]]:
    """Seconds, most megabytes of the command and of all its processes, and what was written."""
    with tempfile.TemporaryDirectory() as place:
        out, report = Path(place) / "out", Path(place) / "report.json"
        command = [sys.executable, "-m", "anymask", "everything", str(folder), "-o", str(out), "--report", str(report)]
        command += ["--points-per-side", str(POINTS_PER_SIDE), *options]
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        first = everything = 0.0
        try:
            while process.poll() is None:
                now = resident_megabytes(process.pid)
                first, everything = max(first, now[0]), max(everything, now[1])
                time.sleep(0.1)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        if process.returncode:
            assert process.stderr is not None
            sys.exit(process.stderr.read().decode())
        written = {path.name: path.read_bytes() for path in sorted(out.glob("*.json"))}
        return json.loads(report.read_text())["seconds"], first, everything, written


def span(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, {POINTS_PER_SIDE} points a side")
    for name in (
        "pictures",
        "where",
        "seconds",
        "ms a picture",
        "MB, command",
        "MB, all processes",
        "ratio",
        "same bytes",
    ):
        table.add_column(name)
    seconds_of: dict[int, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        for count in options.counts:
            folder = Path(place) / str(count)
            make_pictures(folder, count)
            runs: dict[str, list[tuple[float, float, float, dict[str, bytes]]]] = {"local": []}
            if options.ray:
                runs["ray"] = []
            for _ in range(options.repeats):
                for where in runs:
                    measured = measure(folder, ["--ray", "local"] if where == "ray" else [])
                    print(f"{count} pictures, {where}: {measured[0]:.1f} s", file=sys.stderr)
                    runs[where].append(measured)
            reference = runs["local"][0][3]
            for where, measured in runs.items():
                seconds = [one[0] for one in measured]
                ratios = [one[0] / other[0] for one, other in zip(measured, runs["local"], strict=True)]
                table.add_row(
                    str(count),
                    where,
                    span(seconds, 1),
                    span([1000 * value / count for value in seconds], 0),
                    span([one[1] for one in measured], 0),
                    span([one[2] for one in measured], 0),
                    "" if where == "local" else span(ratios, 2),
                    str(all(one[3] == reference for one in measured)),
                )
            seconds_of[count] = {where: [one[0] for one in measured] for where, measured in runs.items()}
    console = Console(width=160)
    console.print(table)
    fewest, most = min(seconds_of), max(seconds_of)
    if most > fewest:
        for where in seconds_of[most]:
            pairs = zip(seconds_of[most][where], seconds_of[fewest][where], strict=True)
            each = [1000 * (long - short) / (most - fewest) for long, short in pairs]
            console.print(f"{where}: {span(each, 1)} ms for each picture more, from {fewest} to {most}")


if __name__ == "__main__":
    main()
