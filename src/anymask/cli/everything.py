"""``anymask everything``: all masks of images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymask.atomic import write_atomically
from anymask.cli.options import DeviceOption, ModelOption, PrecisionOption
from anymask.cli.prompts import parse_region
from anymask.errors import AnymaskError

if TYPE_CHECKING:
    from anymask.segment.everything import Progress


class EverythingOutputError(AnymaskError, ValueError):
    """Options say no single place for what is to be written."""


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


def _check_outputs(
    images: list[Path],
    folder: Path | None,
    overlay: Path | None,
    no_overlay: bool,
    label_map: Path | None,
    json_path: str | None,
) -> None:
    """Refuse, before anything is computed, outputs that could not be written.

    Raises:
        EverythingOutputError: options contradict each other.
        PictureNameError: a name says no format.
    """
    from anymask.formats.pictures import DRAWING_SUFFIXES, LABEL_MAP_SUFFIXES, check_picture_name

    if overlay is not None and no_overlay:
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


def everything(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG, PNG, WebP, TIFF or BMP.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for overlay, masks, cut-outs and JSON (default: out, if no file is asked for).",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(help="default, fast (a quarter of the points), fine (small objects too) or sa1b (the paper's)."),
    ] = "default",
    points_per_side: Annotated[int | None, typer.Option(help="Points of the grid along a side.")] = None,
    points_per_batch: Annotated[int | None, typer.Option(help="Points answered at a time.")] = None,
    pred_iou_thresh: Annotated[float | None, typer.Option(help="Predicted IoU that a mask must exceed.")] = None,
    stability_score_thresh: Annotated[float | None, typer.Option(help="Stability that a mask must reach.")] = None,
    stability_score_offset: Annotated[
        float | None, typer.Option(help="How far the threshold of the logits moves to measure stability.")
    ] = None,
    box_nms_thresh: Annotated[float | None, typer.Option(help="Overlap of boxes that makes a duplicate.")] = None,
    crop_n_layers: Annotated[int | None, typer.Option(help="Layers of crops besides the whole image.")] = None,
    crop_nms_thresh: Annotated[
        float | None, typer.Option(help="Overlap of boxes from different crops that makes a duplicate.")
    ] = None,
    crop_overlap_ratio: Annotated[
        float | None, typer.Option(help="Overlap of crops, as a fraction of the short side.")
    ] = None,
    crop_n_points_downscale_factor: Annotated[
        int | None, typer.Option(help="How much thinner the grid gets from layer to layer.")
    ] = None,
    min_mask_region_area: Annotated[
        int | None, typer.Option(help="Fill holes and drop islands of fewer pixels.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", "-r", metavar="X0,Y0,X1,Y1", help="Look only inside this box.")
    ] = None,
    only_uncovered: Annotated[
        bool, typer.Option("--only-uncovered", help="No points on masks found before: faster, and fewer masks.")
    ] = False,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", metavar="FILE", help="Write the image with all masks drawn on it here; no folder then."
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="FILE",
            help="Write one 16-bit PNG or TIFF of all masks here, 1 for the JSON's first mask; no folder then.",
        ),
    ] = None,
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Leave the overlay out of the folder.")] = False,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the JSON here, or to standard output with -; no folder then. A list for several images.",
        ),
    ] = None,
    model: ModelOption = "pocket",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Find every object in each IMAGE.

    Options that are left out have the preset's values, and thresholds those that suit the model. An image that fails
    is reported, the others go on, and the exit code is 1.
    """
    from anymask import load
    from anymask.formats import to_record, write_drawing, write_folder, write_label_map
    from anymask.segment.errors import ImageError
    from anymask.segment.everything import Tally
    from anymask.segment.everything_settings import choose_settings
    from anymask.segment.pixels import read_image
    from anymask.segment.why_none import why_none

    given = {
        "points_per_side": points_per_side,
        "points_per_batch": points_per_batch,
        "pred_iou_thresh": pred_iou_thresh,
        "stability_score_thresh": stability_score_thresh,
        "stability_score_offset": stability_score_offset,
        "box_nms_thresh": box_nms_thresh,
        "crop_n_layers": crop_n_layers,
        "crop_nms_thresh": crop_nms_thresh,
        "crop_overlap_ratio": crop_overlap_ratio,
        "crop_n_points_downscale_factor": crop_n_points_downscale_factor,
        "min_mask_region_area": min_mask_region_area,
    }
    chosen = choose_settings(preset, {name: value for name, value in given.items() if value is not None})
    box = None if region is None else parse_region(region)
    _check_outputs(images, output, overlay, no_overlay, label_map, json_path)
    segmenter = load(model, device=device, precision=precision)
    settings = chosen.resolve(segmenter.everything_thresholds)
    no_file = json_path is None and overlay is None and label_map is None
    folder = output or (Path("out") if no_file else None)
    records: list[dict[str, Any]] = []
    failures: list[AnymaskError] = []
    for image, name in zip(images, _names(images), strict=True):
        try:
            if image.is_dir():
                raise ImageError(f"{image} is a folder: give its images, as in {image / '*.jpg'}")
            pixels, tally = read_image(image), Tally()
            photo = segmenter.encode(pixels)
            with _progress_bar(image.name) as progress:
                masks = photo.segment_everything(
                    settings, region=box, only_uncovered=only_uncovered, progress=progress, tally=tally
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
        wants_drawing = overlay is not None or (folder is not None and not no_overlay)
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
            reason = why_none(tally, settings, segmenter.everything_thresholds, _as_option)
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
