"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str, typer.Option(help="pocket, mobile_sam, vit_b, vit_l, vit_h, a checkpoint file, a SamModel folder or a hub id.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
PrecisionOption = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
KindOption = Annotated[
    str,
    typer.Option(metavar="FORMAT", help="Format of the data, or masks for images/ and masks/; auto recognises it."),
]
ImagesOption = Annotated[
    Path | None, typer.Option(help="Folder of the pictures, where they are not in the format's usual place.")
]
