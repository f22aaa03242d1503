"""``anymask studio``: annotate pictures in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anymask.cli.options import DeviceOption, ModelOption, PrecisionOption


def studio(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Pictures; or one picture, to begin with it.", show_default=False)
    ],
    model: ModelOption = "pocket",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, 0 for any; 8765 or the next free one where left out.")
    ] = None,
    host: Annotated[str, typer.Option(help="127.0.0.1 or ::1; others are refused.")] = "127.0.0.1",
    project: Annotated[
        Path | None,
        typer.Option(metavar="FILE.db", help="Where masks are kept; .anymask/studio.db in FOLDER where left out."),
    ] = None,
    cache_size: Annotated[
        str, typer.Option("--cache-size", metavar="SIZE", help="Room on the disk for what can be computed again.")
    ] = "2GB",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    import_from: Annotated[
        Path | None, typer.Option("--import", metavar="FILE|FOLDER", help="Take these masks in first.")
    ] = None,
    export_to: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE|FOLDER", help="Write all masks here and end, without a server."),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="Of --import or --export (`anymask formats`), if not plain to see."
        ),
    ] = None,
    with_pictures: Annotated[
        bool, typer.Option("--with-pictures", help="With --export: copy the pictures to where the format expects them.")
    ] = False,
) -> None:
    """Turn pictures into masks in the browser: point, click, next. Ctrl-C ends it; nothing is lost by it."""
    from anymask.studio.starting import StudioOptions, check_choices, export_studio, run_studio

    check_choices(import_from, export_to, format_name, with_pictures)
    if export_to is not None:
        masks, losses = export_studio(folder, project, export_to, format_name, with_pictures)
        for line in losses:
            typer.echo(f"anymask: {line}", err=True)
        typer.echo(f"{masks:,} mask{'' if masks == 1 else 's'} written to {export_to}", err=True)
        return
    options = StudioOptions(model, device, precision, host, port, project, cache_size, not no_browser)
    source = None if import_from is None else (import_from, format_name)
    run_studio(folder, options, source, typer.echo)
