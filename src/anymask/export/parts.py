"""The parts of a model that can be exported, by name."""

from __future__ import annotations

from pathlib import Path

from anymask.export.decoder import export_decoder
from anymask.export.encoder import export_encoder
from anymask.export.errors import ExportError
from anymask.export.files import DEFAULT_OPSET, Exported
from anymask.export.studio import export_studio, export_studio_image
from anymask.export.studio_refine import export_studio_refine
from anymask.segment.segmenter import Segmenter

DECODERS = {"decoder": export_decoder, "studio": export_studio, "studio-refine": export_studio_refine}
ENCODERS = {"encoder": export_encoder, "studio-image": export_studio_image}


def export_part(
    segmenter: Segmenter,
    path: str | Path,
    part: str = "decoder",
    *,
    single_mask: bool = False,
    eight_bit: bool = False,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
) -> Exported:
    """Write a part of a model as an ONNX file.

    Args:
        segmenter: the model.
        path: the file; its name ends in ``.onnx``. It is written beside its place and renamed.
        part: "decoder" (:func:`export_decoder`), "encoder" (:func:`export_encoder`), "studio" (:func:`export_studio`),
            "studio-image" (:func:`export_studio_image`) or "studio-refine" (:func:`export_studio_refine`).
        single_mask: for decoders: give one mask, chosen by the published rule, instead of four.
        eight_bit: for decoders: keep the weights of matrix products in 8 bits, and multiply in 8 bits.
        opset: ONNX operator set.
        check: compare the file with the network, in ONNX Runtime, before it gets its name.

    Raises:
        ExportError: the part is unknown or has no such option, the path or opset cannot be used, or the file does not
            compute what the network does.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    if part in DECODERS:
        return DECODERS[part](segmenter, path, single_mask=single_mask, eight_bit=eight_bit, opset=opset, check=check)
    if part not in ENCODERS:
        raise ExportError(f"unknown part {part!r}: use {', '.join([*DECODERS, *ENCODERS])}")
    if single_mask:
        raise ExportError(f"{part} gives no masks, so it has no single-mask variant: that is for {', '.join(DECODERS)}")
    if eight_bit:
        raise ExportError(
            f"{part} is not offered in 8 bits, because every mask on its picture would change: that is for "
            f"{', '.join(DECODERS)}"
        )
    return ENCODERS[part](segmenter, path, opset=opset, check=check)
