"""The published module for ONNX export, for scripts that call ``torch.onnx.export`` themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from anymask.compat.segment_anything.utils.amg import calculate_stability_score
from anymask.export.decoder import DecoderGraph
from anymask.models.sam import Sam
from anymask.segment.segmenter import Segmenter


class SamOnnxModel(DecoderGraph):
    """Prompt encoder, mask decoder and the way back to the original size, with the published signature.

    Both of PyTorch's exporters take it. :func:`anymask.export.export_decoder` writes and checks a file of it.

    Args:
        model: a ``Sam``, or what :func:`anymask.load` returns.
        return_single_mask: give the one mask that suits the number of points instead of all four.
        use_stability_score: give the stability of the masks in low resolution in the place of their predicted IoU, and
            choose the single mask by it.
        return_extra_metrics: give five results: masks, scores, the stability and the area in pixels of the masks in
            the original size, and the logits in low resolution.
    """

    def __init__(
        self,
        model: Sam | Segmenter,
        return_single_mask: bool,
        use_stability_score: bool = False,
        return_extra_metrics: bool = False,
    ) -> None:
        super().__init__(model.network if isinstance(model, Segmenter) else model, return_single_mask)
        self.use_stability_score = use_stability_score
        self.stability_score_offset = 1.0
        self.return_extra_metrics = return_extra_metrics

    def _stability(self, masks: Tensor) -> Tensor:
        return calculate_stability_score(masks, self.model.mask_threshold, self.stability_score_offset)

    def predict(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict all four masks in low resolution, as :meth:`DecoderGraph.predict`, with the scores asked for."""
        masks, scores = super().predict(image_embeddings, point_coords, point_labels, mask_input, has_mask_input)
        return masks, self._stability(masks) if self.use_stability_score else scores

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
        """Answer a prompt as :meth:`DecoderGraph.forward` does, with the results asked for."""
        masks, scores, low_res = super().forward(
            image_embeddings, point_coords, point_labels, mask_input, has_mask_input, orig_im_size
        )
        if not self.return_extra_metrics:
            return masks, scores, low_res
        areas = (masks > self.model.mask_threshold).flatten(-2).sum(-1)
        return masks, scores, self._stability(masks), areas, low_res
