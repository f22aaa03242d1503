"""Everything mode of a few images that are named one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from anymask.atomic import write_atomically
from anymask.errors import AnymaskError

if TYPE_CHECKING:
    from anymask.segment.everything import Progress
    from anymask.segment.everything_settings import EverythingSettings


class EverythingOutputError(AnymaskError, ValueError):
    """Options say no single place for what is to be written."""


@dataclass(frozen=True)
class Outputs:
    """What is to be written; without any file, the folder ``out``.

    Attributes:
        folder: for overlay, masks, cut-outs and JSON.
        overlay: the file for the overlay.
        no_overlay: leave the overlay out of the folder.
        label_map: the file for the label map.
        json_path: the file for the JSON, or - for standard output.
    """

    folder: Path | None = None
    overlay: Path | None = None
    no_overlay: bool = False
    label_map: Path | None = None
    json_path: str | None = None


@contextmanager
def _progress_bar(name: str) -> Iterator[Progress]:
    """Show how many points of one image are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _names(images: list[Path]) -> list[str]:
    """Give each image the beginning of its files' names: its own, with a number where another has it already."""
    names: list[str] = []
    taken = {image.stem for image in images}
    for image in images:
        name, number = image.stem, 1
        while name in names or (number > 1 and name in taken):
            number += 1
            name = f"{image.stem}-{number}"
        names.append(name)
    return names


def _as_option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _check_outputs(images: list[Path], outputs: Outputs) -> None:
    """Refuse, before anything is computed, outputs that could not be written.

    Raises:
        EverythingOutputError: options contradict each other.
        PictureNameError: a name says no format.
    """
    from anymask.formats.pictures import DRAWING_SUFFIXES, LABEL_MAP_SUFFIXES, check_picture_name

    folder, overlay, label_map, json_path = outputs.folder, outputs.overlay, outputs.label_map, outputs.json_path
    if overlay is not None and outputs.no_overlay:
        raise EverythingOutputError("--overlay and --no-overlay contradict each other")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise EverythingOutputError(f"{folder} is a file: name a folder")
    for option, path, suffixes in (
        ("--overlay", overlay, DRAWING_SUFFIXES),
        ("--label-map", label_map, LABEL_MAP_SUFFIXES),
    ):
        if path is not None:
            check_picture_name(path, suffixes)
            if len(images) > 1:
                raise EverythingOutputError(
                    f"{option} {path} is one file, and there are {len(images)} images: use -o FOLDER"
                )
    json_file = None if json_path in (None, "-") else Path(str(json_path))
    taken = {image.resolve(): f"{image} is an image to be read" for image in images}
    for written in (path for path in (overlay, label_map, json_file) if path is not None):
        if not written.parent.is_dir():
            raise EverythingOutputError(f"{written} cannot be written: there is no folder {written.parent}")
        if written.is_dir():
            raise EverythingOutputError(f"{written} is a folder: name a file")
        if written.resolve() in taken:
            raise EverythingOutputError(f"{taken[written.resolve()]}, and would be overwritten: name another file")
        taken[written.resolve()] = f"{written} is named twice"


def find_in_each(
    images: list[Path],
    settings: EverythingSettings,
    region: tuple[float, float, float, float] | None,
    only_uncovered: bool,
    outputs: Outputs,
    model: str,
    device: str,
    precision: str,
) -> None:
    """Find every object in each image, one after the other, and end the program with 1 if one failed.

    Raises:
        EverythingOutputError: outputs contradict each other or cannot be written.
        AnymaskError: the model cannot be loaded, or the only image cannot be segmented.
    """
    from anymask import load
    from anymask.formats import to_record, write_drawing, write_folder, write_label_map
    from anymask.segment.everything import Tally
    from anymask.segment.pixels import read_image
    from anymask.segment.why_none import why_none

    _check_outputs(images, outputs)
    segmenter = load(model, device=device, precision=precision)
    resolved = settings.resolve(segmenter.everything_thresholds)
    overlay, label_map, json_path = outputs.overlay, outputs.label_map, outputs.json_path
    no_file = json_path is None and overlay is None and label_map is None
    folder = outputs.folder or (Path("out") if no_file else None)
    records: list[dict[str, Any]] = []
    failures: list[AnymaskError] = []
    for image, name in zip(images, _names(images), strict=True):
        try:
            pixels, tally = read_image(image), Tally()
            photo = segmenter.encode(pixels)
            with _progress_bar(image.name) as progress:
                masks = photo.segment_everything(
                    resolved, region=region, only_uncovered=only_uncovered, progress=progress, tally=tally
                )
        except AnymaskError as error:
            if len(images) == 1:
                raise
            failures.append(error)
            typer.echo(f"anymask: {' '.join(str(error).split())}", err=True)
            continue
        record = to_record(str(image), masks, model=model)
        records.append(record)
        found = f"{image.name}: {len(masks)} mask{'' if len(masks) == 1 else 's'}"
        wants_drawing = overlay is not None or (folder is not None and not outputs.no_overlay)
        drawing = masks.draw(pixels) if wants_drawing else None
        if overlay is not None and drawing is not None:
            write_drawing(overlay, drawing)
            typer.echo(f"{found}, drawn in {overlay}", err=True)
        if label_map is not None:
            write_label_map(label_map, masks)
            typer.echo(f"{found}, numbered in {label_map}", err=True)
        if folder is not None:
            files = write_folder(folder, name, pixels, masks, drawing, record)
            typer.echo(f"{found}, {len(files)} files in {folder}", err=True)
        if not len(masks):
            reason = why_none(tally, resolved, segmenter.everything_thresholds, _as_option)
            typer.echo(f"{image.name}: no masks; {reason}", err=True)
    if json_path is not None:
        text = json.dumps(records if len(images) > 1 else records[0], indent=1)
        if json_path == "-":
            typer.echo(text)
        else:
            write_atomically(Path(json_path), lambda path: path.write_text(text))
    if failures:
        typer.echo(f"anymask: {len(failures)} of {len(images)} images failed", err=True)
        raise typer.Exit(1)
