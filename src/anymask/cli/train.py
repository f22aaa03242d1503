"""``anymask train``: a configuration to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="A .yaml or .toml configuration.")],
) -> None:
    """Train as CONFIG says, carrying on where its output folder has a checkpoint."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from anymask.train.config import load_config
    from anymask.train.loop import Trainer

    settings = load_config(config)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))

    def report(row: dict[str, float], done: int, total: int) -> None:
        figures = [
            f"{label} {row[key]:.3f}"
            for key, label in (("loss", "loss"), ("first_iou", "click"), ("box_iou", "box"), ("last_iou", "last"))
            if key in row
        ]
        progress.update(task, completed=done, total=total, description="  ".join(figures))

    trainer = Trainer(settings, report)
    first = trainer.processes.rank == 0
    if trainer.beginning and first:
        typer.echo(trainer.beginning, err=True)
    task = progress.add_task("training", total=None, visible=first)
    # A bar that has begun leaves a line, also where the settings are wrong.
    with progress:
        complete = trainer.train()
    if first:
        _say_what_is_there(trainer.folder, complete)
    if not complete:
        raise typer.Exit(130)


def _say_what_is_there(folder: Path, complete: bool) -> None:
    from anymask.segment.errors import MissingPackageError
    from anymask.train.plot import plot_log

    try:
        plot_log(folder / "log.csv", folder / "log.png")
    except MissingPackageError as error:
        typer.echo(f"no log.png: {error}", err=True)
    weights = folder / "model.safetensors"
    if complete:
        typer.echo(f"trained; the weights are {weights}", err=True)
    else:
        typer.echo(f"stopped and saved; the same command carries on. The weights so far are {weights}", err=True)
