"""``anymask everything``: all masks of images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anymask.atomic import write_atomically
from anymask.cli.prompts import parse_region
from anymask.errors import AnymaskError

if TYPE_CHECKING:
    from anymask.segment.everything import Progress, Tally
    from anymask.segment.everything_settings import EverythingSettings


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


def _why_none(tally: Tally, settings: EverythingSettings) -> str:
    if tally.good == 0:
        return (
            f"the best predicted IoU is {tally.best_score:.2f}, and --pred-iou-thresh is "
            f"{settings.pred_iou_thresh:g}: try a lower one"
        )
    if tally.stable == 0:
        return (
            f"the best stability is {tally.best_stability:.2f}, and --stability-score-thresh is "
            f"{settings.stability_score_thresh:g}: try a lower one"
        )
    return "the masks that are good enough lie outside the region, are cut off by a crop or are too large or small"


def everything(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG, PNG, WebP, TIFF or BMP.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for overlay, masks, cut-outs and JSON (default: out)."),
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
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Draw all masks on the image.")] = True,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            help="Write the JSON here, or to standard output with -; no folder then unless -o is given. "
            "A list for several images.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="pocket, mobile_sam, vit_b, vit_l, vit_h, a checkpoint file, a SamModel folder or a hub id."),
    ] = "pocket",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
) -> None:
    """Find every object in each IMAGE.

    Options that are left out have the preset's values. An image that fails is reported, the others go on, and the exit
    code is 1.
    """
    from anymask import load
    from anymask.formats import to_record, write_folder
    from anymask.segment.everything import Tally
    from anymask.segment.everything_settings import choose_settings
    from anymask.segment.pixels import read_image

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
    settings = choose_settings(preset, {name: value for name, value in given.items() if value is not None})
    box = None if region is None else parse_region(region)
    segmenter = load(model, device=device, precision=precision)
    folder = output or (Path("out") if json_path is None else None)
    records: list[dict[str, Any]] = []
    failures: list[AnymaskError] = []
    for image, name in zip(images, _names(images), strict=True):
        try:
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
        if folder is not None:
            drawing = masks.draw(pixels) if overlay else None
            files = write_folder(folder, name, pixels, masks, drawing, record)
            noun = "mask" if len(masks) == 1 else "masks"
            typer.echo(f"{image.name}: {len(masks)} {noun}, {len(files)} files in {folder}", err=True)
        if not len(masks):
            typer.echo(f"{image.name}: no masks; {_why_none(tally, settings)}", err=True)
    if json_path is not None:
        text = json.dumps(records if len(images) > 1 else records[0], indent=1)
        if json_path == "-":
            typer.echo(text)
        else:
            write_atomically(Path(json_path), lambda path: path.write_text(text))
    if failures:
        typer.echo(f"anymask: {len(failures)} of {len(images)} images failed", err=True)
        raise typer.Exit(1)
