"""The prompt encoder and mask decoder as one graph, with the signature that SAM's web clients expect."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymask.export.check import Agreement, compare_decoder
from anymask.export.files import DEFAULT_OPSET, POINT_AXES, Exported, Part, check_request, in_float32, trace, write
from anymask.models.mask_decoder import MaskDecoder
from anymask.models.sam import Sam
from anymask.models.tracing import is_tracing
from anymask.segment.segmenter import Segmenter

INPUTS = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size")
OUTPUTS = ("masks", "iou_predictions", "low_res_masks")


def best_mask(iou_preds: Tensor, num_points: int) -> Tensor:
    """Say which mask answers best, by the published rule.

    The first answers prompts of three points and more, fillers and box corners counted. Fewer are ambiguous: it is the
    best of the other three, also for a box alone, which has two.

    Args:
        iou_preds: predicted IoU ``[B, masks]``.
        num_points: points of each prompt, fillers and box corners counted.

    Returns:
        The number of the mask ``[B]``.
    """
    weights = torch.tensor([[1000.0] + [0.0] * (iou_preds.shape[1] - 1)], device=iou_preds.device)
    return torch.argmax(iou_preds + (num_points - 2.5) * weights, dim=1)


class DecoderGraph(nn.Module):
    """Everything between an image embedding and masks of the original size, in a form that exporters can trace.

    Inputs, outputs and rules are those of the published ONNX model. Points are (x, y) in pixels of the resized image
    (long side ``img_size``); a prompt without a box needs one point (0, 0) with the label -1 at its end.

    Args:
        model: the network.
        return_single_mask: give the one mask that suits the number of points instead of all four.
    """

    def __init__(self, model: Sam, return_single_mask: bool) -> None:
        super().__init__()
        self.model = model
        self.img_size = model.input_side
        self.return_single_mask = return_single_mask

    @property
    def mask_decoder(self) -> MaskDecoder:
        """The model's; a second attribute that holds it would make torch.export wrap every module, see ``is_plain``."""
        return self.model.mask_decoder

    @staticmethod
    def resize_longest_image_size(input_image_size: Tensor, longest_side: int) -> Tensor:
        """Scale a size ``[2]`` so that its longer side is ``longest_side``: int64 ``[2]``, each side at least 1."""
        size = input_image_size.to(torch.float32)
        scaled = longest_side / torch.max(size) * size
        return torch.floor(scaled + 0.5).clamp(min=1).to(torch.int64)

    def _embed_points(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        return self.model.prompt_encoder.embed_points(point_coords, point_labels, pad=False)

    def _embed_masks(self, input_mask: Tensor, has_mask_input: Tensor) -> Tensor:
        encoder = self.model.prompt_encoder
        without = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return has_mask_input * encoder.embed_masks(input_mask) + (1 - has_mask_input) * without

    def mask_postprocessing(self, masks: Tensor, orig_im_size: Tensor) -> Tensor:
        """Bring logits ``[B, C, 4g, 4g]`` to the original size ``[2]`` (height, width): ``[B, C, height, width]``."""
        side = self.img_size
        full = F.interpolate(masks, size=(side, side), mode="bilinear", align_corners=False)
        inner = self.resize_longest_image_size(orig_im_size, side)
        outer = orig_im_size.to(torch.int64)
        if is_tracing():
            # A tracer follows sizes only as long as they are tensors; torch.export only once they are numbers.
            return F.interpolate(
                full[..., : inner[0], : inner[1]],
                size=(outer[0], outer[1]),  # type: ignore[arg-type]
                mode="bilinear",
                align_corners=False,
            )
        inner_height, inner_width = inner[0].item(), inner[1].item()
        height, width = outer[0].item(), outer[1].item()
        for length in (inner_height, inner_width):
            torch._check(length > 0)
            torch._check(length <= side)
        for length in (height, width):
            torch._check(length > 0)
        return F.interpolate(
            full[..., :inner_height, :inner_width],
            size=(height, width),  # type: ignore[arg-type]
            mode="bilinear",
            align_corners=False,
        )

    def select_masks(self, masks: Tensor, iou_preds: Tensor, num_points: int) -> tuple[Tensor, Tensor]:
        """Choose one mask a prompt, by :func:`best_mask`.

        Args:
            masks: ``[B, masks, h, w]``.
            iou_preds: ``[B, masks]``.
            num_points: points of each prompt, fillers and box corners included.

        Returns:
            Masks ``[B, 1, h, w]`` and their predicted IoU ``[B, 1]``.
        """
        rows = torch.arange(iou_preds.shape[0], device=iou_preds.device) * iou_preds.shape[1]
        rows = rows + best_mask(iou_preds, num_points)
        return (
            masks.flatten(0, 1).index_select(0, rows).unsqueeze(1),
            iou_preds.flatten().index_select(0, rows).unsqueeze(1),
        )

    def predict(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict all four masks in low resolution; arguments as for :meth:`forward`.

        Returns:
            Logits ``[B, 4, 4g, 4g]`` (the first answers unambiguous prompts) and predicted IoU ``[B, 4]``.
        """
        return self.model.mask_decoder.predict_masks(
            image_embeddings=image_embeddings,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=self._embed_points(point_coords, point_labels),
            dense_prompt_embeddings=self._embed_masks(mask_input, has_mask_input),
        )

    def answer(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict the masks that are given out, in low resolution; arguments as for :meth:`forward`.

        Returns:
            Logits ``[B, 4 or 1, 4g, 4g]`` and predicted IoU ``[B, 4 or 1]``.
        """
        low_res, scores = self.predict(image_embeddings, point_coords, point_labels, mask_input, has_mask_input)
        if self.return_single_mask:
            return self.select_masks(low_res, scores, point_coords.shape[1])
        return low_res, scores

    @torch.no_grad()
    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Answer a prompt.

        Args:
            image_embeddings: ``[1, C, g, g]``.
            point_coords: ``[B, N, 2]`` (x, y) in pixels of the resized image.
            point_labels: ``[B, N]``: 1 on the object, 0 not on it, 2 and 3 the corners of a box, -1 no point.
            mask_input: ``[1, 1, 4g, 4g]`` logits to refine; not looked at without ``has_mask_input``.
            has_mask_input: ``[1]``: 1 or 0.
            orig_im_size: ``[2]``, height and width of the original image.

        Returns:
            Logits ``[B, 4 or 1, height, width]`` of the original size, predicted IoU ``[B, 4 or 1]``, and the logits
            in low resolution ``[B, 4 or 1, 4g, 4g]``.
        """
        low_res, scores = self.answer(image_embeddings, point_coords, point_labels, mask_input, has_mask_input)
        return self.mask_postprocessing(low_res, orig_im_size), scores, low_res


def example_inputs(network: Sam, points: int = 5) -> dict[str, Tensor]:
    """Make one set of the published inputs with the right shapes, for tracing."""
    encoder = network.prompt_encoder
    rows, columns = encoder.image_embedding_size
    side = network.input_side
    generator = torch.Generator().manual_seed(0)
    return {
        "image_embeddings": torch.randn(1, encoder.embed_dim, rows, columns, generator=generator),
        "point_coords": torch.rand(1, points, 2, generator=generator) * side,
        "point_labels": torch.arange(points)[None].remainder(5).sub(1).float(),
        "mask_input": torch.randn(1, 1, 4 * rows, 4 * columns, generator=generator),
        "has_mask_input": torch.ones(1),
        "orig_im_size": torch.tensor([side * 3 // 2, side * 2 + 1]).float(),
    }


def export_decoder(
    segmenter: Segmenter,
    path: str | Path,
    *,
    single_mask: bool = False,
    eight_bit: bool = False,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
) -> Exported:
    """Write prompt encoder and mask decoder as an ONNX file with the published signature.

    Inputs and outputs, all float32, are those of :meth:`DecoderGraph.forward`, for one prompt (B is 1) of any number
    of points.

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
    part = Part("decoder", "single-mask" if single_mask else "", eight_bit)
    graph = DecoderGraph(exact.network, single_mask).eval()
    inputs = example_inputs(exact.network)
    model = trace(graph, inputs, OUTPUTS, POINT_AXES, {"masks": {2: "height", 3: "width"}}, opset)

    def agree(file: Path) -> Agreement:
        return compare_decoder(file, exact, single_mask, exact=not eight_bit)

    return write(model, path, exact, part, agree if check else None)
