"""``anymask pretrain``: a folder of images to an image encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    folder: Annotated[Path, typer.Argument(help="Images without labels, searched with all folders below.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the encoder, its pictures, the log and the checkpoint.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Whose image encoder: a name that `anymask models` lists (default: pocket).")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A .yaml or .toml file with settings; options win.")] = None,
    initial: Annotated[
        Path | None, typer.Option(help="Weights to begin with: a checkpoint of the model, or a published MAE encoder.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="How often every image is seen (default: 100, unless --steps or --minutes).")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="About so long, by the pace of the first steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step, in all processes together (default: 64).")] = None,
    side: Annotated[
        int | None, typer.Option(help="Side of the views in pixels, a multiple of 16 (default: 224).")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Learning rate for 256 images a step (default: 1.5e-4 for ViTs, 4e-3 for others)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice (default: 0).")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
) -> None:
    """Let an image encoder learn from the images in FOLDER by filling in what is masked.

    The same command carries on where it was stopped.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from anymask.train.pretrain import Pretrainer
    from anymask.train.pretrain_settings import load_settings

    given = {
        "images": str(folder),
        "output": str(output),
        "model": model,
        "initial": None if initial is None else str(initial),
        "epochs": epochs,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "side": side,
        "rate": rate,
        "seed": seed,
        "device": device,
        "precision": precision,
    }
    settings = load_settings(config, {name: value for name, value in given.items() if value is not None})
    losses: list[float] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))

    def report(row: dict[str, float], done: int, total: int) -> None:
        losses.append(row["loss"])
        recent = losses[-settings.log_every :]
        progress.update(task, completed=done, total=total, description=f"loss {sum(recent) / len(recent):.4f}")

    trainer = Pretrainer(settings, report)
    first = trainer.processes.rank == 0
    for note in trainer.notes if first else ():
        typer.echo(note, err=True)
    task = progress.add_task("pre-training", total=None, completed=trainer.step, visible=first)
    # A bar that has begun leaves a line, also where the settings are wrong.
    with progress:
        complete = trainer.train()
    if first:
        skipped, found = trainer.skipped, len(trainer.stream.images)
        if skipped:
            typer.echo(
                f"{len(skipped)} of {found} images could not be read, all are listed in "
                f"{trainer.folder / 'skipped.csv'}; the first: {min(skipped.items())[1]}",
                err=True,
            )
        loss = f", loss {trainer.log[-1]['loss']:.4f}" if trainer.log else ""
        typer.echo(f"{found - len(skipped)} images, {trainer.step} of {trainer.total} steps{loss}", err=True)
        typer.echo(f"see what it fills in: {trainer.folder / 'reconstructions.png'}", err=True)
        state = "pre-trained" if complete else "stopped and saved, the same command carries on"
        typer.echo(f"{state}; to train from it, give initial: {trainer.encoder_file}", err=True)
    if not complete:
        raise typer.Exit(130)
