"""Where the time of everything mode goes, on one thread, beside the arithmetic of each stage.

Run: python benchmarks/everything_stages.py [--grid 64] [--precision auto] [--image PHOTO]
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from everything import SIZE, encode, load_pocket, picture
from rich.console import Console
from rich.table import Table

from anymask.models.prompt_decoder import Attended, PromptDecoder
from anymask.segment import everything, rle
from anymask.segment.windows import WindowRestorer

TOKENS, CHANNELS, HEADS = 7, 256, 8


def attend_operations(cells: int, prompts: int) -> float:
    """Operations on image tokens of clicks: in the first layer projections are shared, in the last four tokens ask."""
    rows, rows_of_last, width = TOKENS * HEADS, 4 * HEADS, 16
    first = rows * width * 3 + rows * CHANNELS
    second = 4 * rows * CHANNELS
    last = 2 * rows_of_last * CHANNELS
    return 2.0 * prompts * cells * (first + second + last)


def mask_operations(cells: float, prompts: int, masks: int) -> float:
    """Operations of the upscaling of prompts, of which so many masks are made."""
    upscaling = CHANNELS * 4 * CHANNELS / 4 + 4 * CHANNELS / 4 * 4 * CHANNELS / 8
    return 2.0 * cells * (prompts * upscaling + masks * 16 * CHANNELS / 8)


class Clock:
    """Seconds, calls and operations of some functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.operations: dict[str, float] = defaultdict(float)

    def watch(
        self, owner: Any, name: str, label: Callable[..., str], operations: Callable[..., float] | None = None
    ) -> None:
        """Replace a function by one that counts."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def counted(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = original(*arguments, **named)
            what = label(*arguments)
            self.seconds[what] += time.perf_counter() - started
            self.calls[what] += 1
            if operations is not None:
                self.operations[what] += operations(*arguments)
            return result

        setattr(owner, name, counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--image", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photo = encode(picture(options.image), options.grid)
    photo.segmenter = load_pocket(options.grid, options.precision)
    settings = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.3}
    photo.segment_everything(points_per_side=4, **settings)

    clock = Clock()
    cells = options.grid**2
    # The mask is made only of the part of the grid that the image reaches.
    used = cells * min(SIZE) / max(SIZE)

    def kind(what: str) -> Callable[..., str]:
        return lambda decoder, *_: f"{what}, {str(decoder.dtype).removeprefix('torch.')}"

    def of_masks(_: PromptDecoder, attended: Attended, wanted: torch.Tensor, *__: Any) -> float:
        del attended
        return mask_operations(used, int(wanted.any(1).sum()), int(wanted.sum()))

    clock.watch(
        PromptDecoder, "attend", kind("transformer"), lambda _, __, sparse, *___: attend_operations(cells, len(sparse))
    )
    clock.watch(PromptDecoder, "masks", kind("masks at low resolution"), of_masks)
    clock.watch(WindowRestorer, "restore", lambda *_: "masks at the image's size")
    clock.watch(rle, "encode_crop", lambda *_: "run lengths")
    clock.watch(everything, "_distinct", lambda *_: "duplicates")
    started = time.perf_counter()
    found = photo.segment_everything(points_per_side=32, **settings)
    whole = time.perf_counter() - started

    table = Table("stage", "calls", "s", "share", "GFLOP", "GFLOP/s", title=f"{len(found)} masks in {whole:.2f} s")
    for what, seconds in clock.seconds.items():
        gigas = clock.operations[what] / 1e9
        table.add_row(
            what,
            str(clock.calls[what]),
            f"{seconds:.2f}",
            f"{seconds / whole:.0%}",
            f"{gigas:.0f}" if gigas else "",
            f"{gigas / seconds:.0f}" if gigas else "",
        )
    rest = whole - sum(clock.seconds.values())
    table.add_row("rest", "", f"{rest:.2f}", f"{rest / whole:.0%}", "", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
