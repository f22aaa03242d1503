"""``anymask export``: a model as ONNX files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ModelPart(StrEnum):
    """What a file can hold."""

    DECODER = "decoder"
    ENCODER = "encoder"
    STUDIO = "studio"
    STUDIO_IMAGE = "studio-image"
    STUDIO_REFINE = "studio-refine"


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="pocket, mobile_sam, vit_b, vit_l, vit_h, a checkpoint file, a SamModel folder or a hub id.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.onnx", help="The file to write (default: PART.onnx)."),
    ] = None,
    part: Annotated[
        ModelPart,
        typer.Option(
            help="decoder: prompts to masks, as SAM's web clients expect it. encoder: a picture to its embedding. "
            "studio: a decoder for clicks, on what studio-image computes once an image. studio-refine: a decoder that "
            "refines masks; it leaves them in low resolution.",
        ),
    ] = ModelPart.DECODER,
    single_mask: Annotated[
        bool, typer.Option("--single-mask", help="One mask, chosen by the number of points, instead of all.")
    ] = False,
    eight_bit: Annotated[
        bool,
        typer.Option("--eight-bit", help="Matrix products in 8 bits: a quarter of the size, nearly the same masks."),
    ] = False,
    opset: Annotated[int, typer.Option(help="ONNX operator set, from 18.")] = 18,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the file with the model before it gets its name.")
    ] = True,
) -> None:
    """Write a part of MODEL as an ONNX file, for browsers and other run-times."""
    from anymask import load
    from anymask.export import check_request, export_part

    # Before gigabytes are read, a mistyped path should be said.
    path = check_request(output or Path(f"{part}.onnx"), opset)
    segmenter = load(model, device="cpu", precision="float32")
    written = export_part(
        segmenter, path, part.value, single_mask=single_mask, eight_bit=eight_bit, opset=opset, check=check
    )
    beside = "" if written.weights_path is None else f", weights in {written.weights_path}"
    typer.echo(f"{path}: {part} of {segmenter.name}, {written.size / 1e6:.1f} MB, opset {written.opset}{beside}")
    if written.agreement is None:
        typer.echo("  not checked")
        return
    differences = ", ".join(f"{name} {value:.1e}" for name, value in written.agreement.differences.items())
    typer.echo(f"  {written.agreement.runs} runs in ONNX Runtime and in torch; largest differences: {differences}")
    if written.agreement.mean_iou is not None:
        typer.echo(f"  mean IoU of its masks with the model's: {written.agreement.mean_iou:.4f}")
