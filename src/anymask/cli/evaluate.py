"""``anymask evaluate``: how good a model is, measured on true masks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from anymask.cli.options import DeviceOption, ImagesOption, KindOption, ModelOption, PrecisionOption

app = typer.Typer(help="Measure a model on images with true masks.", no_args_is_help=True)


class Split(StrEnum):
    """Which images of a data set."""

    ALL = "all"
    TRAIN = "train"
    VALIDATION = "validation"


@app.callback()
def evaluate() -> None:
    """Measure a model on images with true masks."""


@app.command()
def clicks(
    data: Annotated[
        Path,
        typer.Option(help="Annotated images in any format (`anymask formats`), or images/ and masks/."),
    ],
    images: ImagesOption = None,
    model: ModelOption = "pocket",
    split: Annotated[
        Split,
        typer.Option(
            help="validation: the tenth of the images whose file name has a CRC-32 divisible by 10, which "
            "training leaves out; train: the others; all: every image."
        ),
    ] = Split.ALL,
    kind: KindOption = "auto",
    max_images: Annotated[
        int | None, typer.Option(min=1, help="So many images, evenly spaced over the data set.")
    ] = None,
    max_clicks: Annotated[int, typer.Option(min=1, help="Clicks a mask at most.")] = 20,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Compare with the filled box and GrabCut.")
    ] = True,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write everything here, single masks too; - is standard output."),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Let a robot segment every mask: from its box, and click by click in the middle of the largest error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from anymask import load
    from anymask.evaluate import evaluate_clicks
    from anymask.formats.datasets import open_dataset

    # An hour's evaluation should not be lost to a mistyped folder.
    if json_path not in (None, "-") and not Path(str(json_path)).absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {Path(str(json_path)).parent}", param_hint="--json")
    dataset = open_dataset(data, kind, images=images, split=split)
    segmenter = load(model, device=device, precision=precision)
    messages = Console(stderr=True)
    columns = (TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages) as progress:
        task = progress.add_task("images", total=None)
        report = evaluate_clicks(
            segmenter,
            dataset,
            max_clicks=max_clicks,
            max_images=max_images,
            baselines=baselines,
            data_name=f"{data} ({split})",
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json_path == "-":
        typer.echo(json.dumps(report.to_dict(rows=True), indent=1, allow_nan=False))
        messages.print(report.table())
        return
    Console().print(report.table())
    if json_path is not None:
        report.save(json_path)
