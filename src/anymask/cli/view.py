"""``anymask view``: a contact sheet of masks on their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def view(
    source: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="Masks in any format (`anymask formats`).", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The sheet: .jpg, .png, ... Default: beside FILE|FOLDER."),
    ] = None,
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Recognised by looking if left out.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the pictures are, if not in their usual place.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Images on the sheet at most.")] = 24,
    random: Annotated[
        int | None, typer.Option(metavar="SEED", help="A random choice instead of the first images.", min=0)
    ] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Images side by side.")] = None,
    size: Annotated[int, typer.Option(min=32, max=4096, help="Side of an image on the sheet, in pixels.")] = 320,
) -> None:
    """Draw masks on their pictures, on one sheet to look at.

    Prints the sheet's path. An image that cannot be read is reported, the others are drawn, and the exit code is 1.
    """
    from anymask import formats
    from anymask.draw.contact_sheet import Tile, contact_sheet
    from anymask.formats.choose import choose_images
    from anymask.formats.pictures import DRAWING_SUFFIXES, check_picture_name

    whole = source.expanduser().resolve()
    sheet_path = output or whole.with_name(f"{whole.stem if whole.is_file() else whole.name}-sheet.jpg")
    check_picture_name(sheet_path, DRAWING_SUFFIXES)
    failures = []

    def report(error: formats.DatasetError) -> None:
        failures.append(error)
        typer.echo(f"anymask: {' '.join(str(error).split())}", err=True)

    images = formats.read(source, source_format, pictures=pictures, failed=report)
    chosen = choose_images(images, limit, random)
    tiles = (Tile(image.name, image.masks, image.picture) for image in chosen)
    sheet = contact_sheet(tiles, size=size, columns=columns)
    formats.write_drawing(sheet_path, sheet.image)
    for line in sheet.without_picture[:3]:
        typer.echo(f"anymask: {line}", err=True)
    if sheet.without_picture:
        hint = "" if pictures else "; --pictures FOLDER says where they are"
        typer.echo(f"anymask: {len(sheet.without_picture)} of {len(chosen)} images are drawn on grey{hint}", err=True)
    typer.echo(str(sheet_path))
    if failures:
        raise typer.Exit(1)
