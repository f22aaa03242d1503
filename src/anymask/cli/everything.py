"""``anymask everything``: all masks of images, of one or of a million."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anymask.cli.one_by_one import EverythingOutputError, Outputs, find_in_each
from anymask.cli.options import DeviceOption, ModelOption, PrecisionOption
from anymask.cli.prompts import parse_region
from anymask.cli.running import (
    CpusOption,
    DryRunOption,
    FormatOption,
    GpusOption,
    LimitOption,
    OverlaysOption,
    RayOption,
    ReportOption,
    RestartOption,
    RunOptions,
    ShardOption,
    WithPicturesOption,
    WorkersOption,
    carry_out,
)


def everything(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Images, folders, 'patterns/**/*.jpg', lists (.txt, or - for standard input), tar shards and Parquet.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for the results (default: out, if no file is asked for).",
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
    format_name: FormatOption = None,
    overlays: OverlaysOption = False,
    with_pictures: WithPicturesOption = False,
    limit: LimitOption = None,
    shard: ShardOption = None,
    restart: RestartOption = False,
    dry_run: DryRunOption = False,
    report: ReportOption = None,
    ray: RayOption = None,
    workers: WorkersOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
) -> None:
    """Find every object in each image of INPUT.

    Options that are left out have the preset's values, and thresholds those that suit the model. An image that fails
    is reported, the others go on, and the exit code is 1. Folders, patterns, lists and archives make a run: started
    again with the same options, it goes on where it stopped.
    """
    from anymask.runs.inputs import are_plain_images, list_items
    from anymask.runs.job import PICTURES, Everything, Job
    from anymask.segment.everything_settings import choose_settings

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
    options = RunOptions(limit, shard, restart, dry_run, report, ray, workers, cpus_per_worker, gpus_per_worker)
    plain = are_plain_images(inputs)
    if plain and not (options.are_given or format_name or overlays or with_pictures):
        outputs = Outputs(output, overlay, no_overlay, label_map, json_path)
        find_in_each([Path(one) for one in inputs], chosen, box, only_uncovered, outputs, model, device, precision)
        return
    for option, value in (("--overlay", overlay), ("--label-map", label_map), ("--json", json_path)):
        if value is not None:
            raise EverythingOutputError(
                f"{option} is one file, for images that are named one by one: use -o FOLDER with --format or --overlays"
            )
    if no_overlay:
        raise EverythingOutputError("--no-overlay is for images that are named one by one; runs draw with --overlays")
    folder = output or Path("out")
    task = Everything(chosen, box, only_uncovered)
    name = format_name or (PICTURES if plain else "sa1b")
    job = Job(task, model, device, precision, name, overlays, with_pictures)
    carry_out(job, list_items(inputs, exclude=folder), folder, options, [])
