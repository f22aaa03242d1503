"""``anymask finetune``: a model made better on one's own images."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from anymask.cli.options import DeviceOption, ImagesOption, KindOption, PrecisionOption


class Objects(StrEnum):
    """What a mask picture holds."""

    AUTO = "auto"
    LABELS = "labels"
    COMPONENTS = "components"
    WHOLE = "whole"


class Part(StrEnum):
    """What is trained."""

    DECODER = "decoder"
    ADAPTERS = "adapters"
    ENCODER_ADAPTERS = "encoder-adapters"
    EVERYTHING = "everything"


def finetune(
    data: Annotated[
        Path,
        typer.Argument(help="Annotated images in any format (`anymask formats`), or images/ and masks/."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model and the report.")],
    model: Annotated[str, typer.Option(help="A model's name or a checkpoint file to begin with.")] = "pocket",
    validation: Annotated[
        Path | None, typer.Option(help="Another data set to measure on, instead of a part of DATA.")
    ] = None,
    validation_share: Annotated[
        float | None,
        typer.Option(help="Share of DATA to measure on, chosen by file name. Default: the tenth by CRC-32."),
    ] = None,
    train: Annotated[
        Part,
        typer.Option(
            help="What learns: decoder (fast: the encoder sees each image once), adapters (less of the decoder), "
            "encoder-adapters or everything (slow)."
        ),
    ] = Part.DECODER,
    kind: KindOption = "auto",
    images: ImagesOption = None,
    objects: Annotated[
        Objects,
        typer.Option(
            help="What a mask picture holds: labels (each value is an object), components (each connected part), "
            "whole (one object); auto: components of black and white pictures, labels of others."
        ),
    ] = Objects.AUTO,
    max_images: Annotated[int | None, typer.Option(min=1, help="Train on so many images, evenly spaced.")] = None,
    max_validation: Annotated[int | None, typer.Option(min=1, help="Measure on so many images, evenly spaced.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most.")] = 20,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many epochs without a better score; 0 for never.")
    ] = 5,
    max_minutes: Annotated[float | None, typer.Option(help="Train for so many minutes at most.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 2,
    masks: Annotated[int, typer.Option(min=1, help="Masks of an image a step.")] = 8,
    views: Annotated[
        int, typer.Option(min=1, help="Windows of each image to train on: the whole, and parts enlarged.")
    ] = 4,
    points: Annotated[
        int, typer.Option(min=0, help="Clicks after the first prompt in a training interaction; 8 in the paper.")
    ] = 3,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Decides every random choice.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for embeddings, shared by all runs. Default: in the user's cache.")
    ] = None,
    cache_limit: Annotated[float, typer.Option(min=0, help="GiB that the embeddings there may take.")] = 20.0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Fine-tune a model on DATA, and say with a table whether it became better.

    Ctrl-C stops with the best model so far; the same command carries on. Exits with 3 where nothing was gained.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from anymask.train.finetune import finetune as run
    from anymask.train.finetune_settings import FinetuneSettings

    settings = FinetuneSettings(
        train=train.value,
        epochs=epochs,
        rate=rate,
        batch=batch,
        max_masks=masks,
        views=views,
        points=points,
        patience=patience,
        max_minutes=max_minutes,
        seed=seed,
        rank=rank,
    )
    messages = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=messages)
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        # A bar that has begun leaves a line, also where the data or a setting is wrong.
        if not tasks:
            bars.start()
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, note="")
        notes = []
        if "encoded" in figures:
            notes.append(f"{figures['encoded']:,.0f} embeddings made")
        if "loss" in figures:
            notes.append(f"epoch {figures['epoch']:.0f}  loss {figures['loss']:.3f}  best IoU {figures['best']:.3f}")
        if "seconds_left" in figures:
            notes.append(f"at most {figures['seconds_left'] / 60:.0f} min left")
        bars.update(tasks[stage], completed=done, total=total, note="  ".join(notes))

    try:
        result = run(
            data,
            output,
            model=model,
            settings=settings,
            validation=validation,
            validation_share=validation_share,
            kind=kind,
            images=images,
            objects=objects,
            max_images=max_images,
            max_validation=max_validation,
            cache=cache,
            cache_gigabytes=cache_limit,
            device=device,
            precision=precision,
            progress=show,
        )
    finally:
        if tasks:
            bars.stop()
    if result.was_complete:
        typer.echo(f"{output} is complete; this is what it found.", err=True)
    if result.gains:
        Console().print(result.table())
    typer.echo(result.verdict, err=True)
    typer.echo(f"The weights are {result.model}; epoch {result.best_epoch} of {result.epochs} was the best.", err=True)
    if result.outcome == "stopped":
        raise typer.Exit(130)
    if result.outcome == "unchanged":
        raise typer.Exit(3)
