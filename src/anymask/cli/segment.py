"""``anymask segment``: prompts on one image, or on many by a file of prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anymask.atomic import write_atomically
from anymask.cli.options import DeviceOption, ModelOption, PrecisionOption
from anymask.cli.prompts import describe, parse_box, parse_point, to_prompts
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


def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="JPEG, PNG, WebP, TIFF or BMP; with --prompts also folders, 'patterns/*.jpg', lists (.txt, or - for "
            "standard input), tar shards and Parquet.",
        ),
    ],
    point: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            "-p",
            metavar="X,Y[:bg]",
            help="A point on the object; with :bg, one off it. Repeatable.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            "-b",
            metavar="X0,Y0,X1,Y1",
            help="A box around the object. Several boxes: several objects.",
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option("--mask", "-m", help="A mask image to refine, white on black.")] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="Each point and each box is an object of its own.")
    ] = False,
    multimask: Annotated[
        bool | None,
        typer.Option("--multimask/--single", help="Three masks or one; by default three for one lone point."),
    ] = None,
    prompts_file: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="JSON or JSON Lines of boxes or points for many images, or a COCO file whose boxes are prompts.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for overlay, masks, cut-outs and JSON (default: out)."),
    ] = None,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            help="Write the JSON here, or to standard output with -; no folder then unless -o is given.",
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
    """Cut out what points, boxes and a mask mark in IMAGE.

    Coordinates are pixels from the top left corner. With --prompts, each image's prompts come from a file, and each
    prompt gives one mask (all three with --multimask); started again, such a run goes on where it stopped.
    """
    from anymask import load
    from anymask.formats import to_record, write_folder
    from anymask.segment.errors import PromptError
    from anymask.segment.pixels import read_image

    options = RunOptions(limit, shard, restart, dry_run, report, ray, workers, cpus_per_worker, gpus_per_worker)
    if prompts_file is not None:
        from anymask.runs.inputs import list_items
        from anymask.runs.job import Job, Prompted
        from anymask.runs.prompt_files import read_prompt_file
        from anymask.runs.prompt_matching import attach_prompts

        if point or box or mask is not None or separate or json_path is not None:
            raise PromptError("--prompts has the prompts of all images: leave out --point, --box, --mask and --json")
        folder = output or Path("out")
        asked = attach_prompts(list_items(inputs, exclude=folder), read_prompt_file(prompts_file))
        job = Job(Prompted(bool(multimask)), model, device, precision, format_name or "sa1b", overlays, with_pictures)
        carry_out(job, asked.items, folder, options, asked.notes())
        return
    if len(inputs) > 1:
        raise PromptError(f"{len(inputs)} images were given: one at a time, or --prompts FILE with prompts for each")
    if options.are_given or format_name is not None or overlays or with_pictures:
        raise PromptError("options of a run over many images need --prompts FILE")
    image = Path(inputs[0])
    points = [parse_point(text) for text in point or []]
    boxes = [parse_box(text) for text in box or []]
    prompts = to_prompts(points, boxes, mask, separate, multimask)
    pixels = read_image(image)
    photo = load(model, device=device, precision=precision).encode(pixels)
    masks = photo.segment_many(prompts)
    record = to_record(str(image), masks, model=model, prompts=[describe(prompt) for prompt in prompts])
    if json_path == "-":
        typer.echo(json.dumps(record, indent=1))
    elif json_path is not None:
        text = json.dumps(record, indent=1)
        write_atomically(Path(json_path), lambda path: path.write_text(text))
    if output is None and json_path is not None:
        return
    overlay = masks.draw(
        pixels,
        points=[xy for xy, _ in points] or None,
        point_labels=[label for _, label in points] or None,
        boxes=boxes or None,
    )
    folder = output or Path("out")
    files = write_folder(folder, image.stem, pixels, masks, overlay, record)
    typer.echo(f"{len(masks)} mask{'' if len(masks) == 1 else 's'}, {len(files)} files in {folder}", err=True)
    for index in range(len(masks)):
        assert masks.scores is not None
        typer.echo(
            f"  {image.stem}-mask-{index}.png  predicted IoU {masks.scores[index]:.2f}, {masks.areas[index]:,} pixels",
            err=True,
        )
