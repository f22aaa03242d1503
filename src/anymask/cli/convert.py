"""``anymask convert``: masks from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File or folder to read.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.", show_default=False)],
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Format of IN; recognised by looking if left out.")
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="Format of OUT; left out where its ending says it.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the pictures are, if not in IN's usual place.")
    ] = None,
    with_pictures: Annotated[
        bool, typer.Option("--with-pictures", help="Copy the pictures to where the format of OUT expects them.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the file OUT, or write into the folder OUT though it is not empty; other files stay.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be lost.")] = False,
) -> None:
    """Read masks in one format and write them in another (`anymask formats` lists them).

    An image that cannot be read or written is reported, the others go on, and the exit code is 1.
    """
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from anymask import formats

    console = Console(stderr=True)
    columns = (TextColumn("{task.completed:,} images"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        done = formats.convert(
            source,
            target,
            source_format=source_format,
            target_format=target_format,
            pictures=pictures,
            with_pictures=with_pictures,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=lambda images: bar.update(task, completed=images),
            failed=lambda reason: console.print(f"anymask: {reason}", markup=False, highlight=False, soft_wrap=True),
        )
    for line in done.losses:
        typer.echo(f"anymask: {done.target_format}: {line}", err=True)
    images = f"{done.images:,} image{'' if done.images == 1 else 's'}"
    masks = f"{done.masks:,} mask{'' if done.masks == 1 else 's'}"
    did = "would be written to" if dry_run else "in"
    typer.echo(f"{images}, {masks}: {done.source_format} to {done.target_format}, {did} {target}", err=True)
    if done.failures:
        typer.echo(f"anymask: {len(done.failures)} of {done.images + len(done.failures)} images failed", err=True)
        raise typer.Exit(1)
