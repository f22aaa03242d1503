"""The decoder's second half for a browser: prompts with the logits of an earlier answer, masks in low resolution."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from anymask.export.check import Agreement, compare_studio_refine
from anymask.export.decoder import DecoderGraph, example_inputs
from anymask.export.files import DEFAULT_OPSET, POINT_AXES, Exported, Part, check_request, in_float32, trace, write
from anymask.models.sam import Sam
from anymask.segment.segmenter import Segmenter

OUTPUTS = ("low_res_masks", "iou_predictions")


class StudioRefineDecoder(nn.Module):
    """What :class:`DecoderGraph` computes, without bringing masks to the original size: a browser does that itself.

    Args:
        network: the model.
        single_mask: give the one mask that suits the number of points instead of all four.
    """

    def __init__(self, network: Sam, single_mask: bool) -> None:
        super().__init__()
        self.decoder = DecoderGraph(network, single_mask)

    @torch.no_grad()
    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Answer a prompt; arguments as for :meth:`DecoderGraph.forward`.

        Returns:
            Logits ``[B, 4 or 1, 4g, 4g]`` (the first of four answers unambiguous prompts) and predicted IoU
            ``[B, 4 or 1]``.
        """
        return self.decoder.answer(image_embeddings, point_coords, point_labels, mask_input, has_mask_input)


def export_studio_refine(
    segmenter: Segmenter,
    path: str | Path,
    *,
    single_mask: bool = False,
    eight_bit: bool = False,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
) -> Exported:
    """Write the decoder that refines masks as an ONNX file.

    Inputs and outputs, all float32, are those of :meth:`StudioRefineDecoder.forward`, for one prompt (B is 1) of any
    number of points. Its masks are in low resolution and cover the padded square.

    Args:
        segmenter: the model.
        path: the file; its name ends in ``.onnx``. It is written beside its place and renamed.
        single_mask: give one mask, chosen by the published rule, instead of four.
        eight_bit: keep the weights of matrix products in 8 bits, and multiply in 8 bits.
        opset: ONNX operator set.
        check: compare the file with the network, in ONNX Runtime, before it gets its name.

    Raises:
        ExportError: the path or opset cannot be used, or the file does not compute what the network does.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    path = check_request(path, opset)
    exact = in_float32(segmenter)
    graph = StudioRefineDecoder(exact.network, single_mask).eval()
    inputs = example_inputs(exact.network)
    del inputs["orig_im_size"]
    model = trace(graph, inputs, OUTPUTS, POINT_AXES, {}, opset)

    def agree(file: Path) -> Agreement:
        return compare_studio_refine(file, exact, single_mask, exact=not eight_bit)

    part = Part("studio-refine", "single-mask" if single_mask else "", eight_bit)
    return write(model, path, exact, part, agree if check else None)
