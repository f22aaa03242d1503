"""The published mask generator: all masks of an image, as a list of records."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.compat.precision import drop_in_precision
from anymask.compat.segment_anything.errors import ArgumentError, ImageArgumentError
from anymask.compat.segment_anything.predictor import SamPredictor
from anymask.compat.segment_anything.utils.amg import (
    MaskData,
    batched_mask_to_box,
    box_xyxy_to_xywh,
    build_all_layer_point_grids,
    mask_to_rle_pytorch,
    remove_small_regions,
    rle_to_mask,
    uncompressed_rle,
)
from anymask.models.prompt_decoder import build_prompt_decoder
from anymask.models.registry import everything_thresholds
from anymask.models.sam import Sam
from anymask.segment import rle
from anymask.segment.everything import Candidate, Tally, find_masks
from anymask.segment.everything_settings import CROP_OVERLAP_RATIO, ResolvedSettings
from anymask.segment.frame import Frame
from anymask.segment.segmenter import Segmenter
from anymask.segment.suppression import suppress
from anymask.segment.why_none import why_none

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")

_log = logging.getLogger(__name__)


class SamAutomaticMaskGenerator:
    """Finds all masks of an image, with the published interface, conventions and order of records.

    Args:
        model: a ``Sam``, or what :func:`anymask.load` returns.
        points_per_side: points of the grid along a side; None if ``point_grids`` is given.
        points_per_batch: how many points may be answered at a time; on a processor fewer are, which is faster.
        pred_iou_thresh: predicted IoU that masks must exceed; 0 keeps all.
        stability_score_thresh: stability that masks must reach; 0 keeps all.
        stability_score_offset: how far the threshold of the logits is moved up and down to measure stability.
        box_nms_thresh: overlap of boxes above which a mask is a duplicate.
        crop_n_layers: layers of crops besides the whole image.
        crop_nms_thresh: the same overlap between masks of different crops.
        crop_overlap_ratio: overlap of crops in the first layer.
        crop_n_points_downscale_factor: how much thinner the grid gets from layer to layer.
        point_grids: for each layer points ``[K, 2]`` (x, y) in 0..1, in the place of ``points_per_side``.
        min_mask_region_area: holes and islands of fewer pixels are removed; 0 leaves masks as they are.
        output_mode: "binary_mask", "uncompressed_rle" or "coco_rle".

    The thresholds are the published ones for every model. The first image on which nothing passes them is logged with
    the reason, and ``tally`` (:class:`anymask.segment.everything.Tally`) has the figures of the last image.

    Raises:
        ArgumentError: both or neither of ``points_per_side`` and ``point_grids``, or another output mode (an
            AssertionError).
        EverythingSettingsError: a number is out of its range (a ValueError).
    """

    def __init__(
        self,
        model: Sam | Segmenter,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = CROP_OVERLAP_RATIO,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[NDArray[Any]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise ArgumentError(
                "give exactly one of points_per_side and point_grids; with point_grids, points_per_side must be None"
            )
        if output_mode not in OUTPUT_MODES:
            raise ArgumentError(f"output_mode is one of {', '.join(OUTPUT_MODES)}, not {output_mode!r}")
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self.point_grids: Sequence[NDArray[Any]] = [] if point_grids is None else point_grids
        if points_per_side is not None:
            # The settings refuse what is no number of points before a grid of them is laid out.
            ResolvedSettings(points_per_side=points_per_side)
            self.point_grids = build_all_layer_point_grids(
                points_per_side, crop_n_layers, crop_n_points_downscale_factor
            )
        self.tally = Tally()
        self._explained = False
        self._settings()

    def _settings(self) -> ResolvedSettings:
        """Read the attributes anew, because programs change them after construction."""
        return ResolvedSettings(
            points_per_batch=self.points_per_batch,
            pred_iou_thresh=self.pred_iou_thresh,
            stability_score_thresh=self.stability_score_thresh,
            stability_score_offset=self.stability_score_offset,
            box_nms_thresh=self.box_nms_thresh,
            crop_n_layers=self.crop_n_layers,
            crop_nms_thresh=self.crop_nms_thresh,
            crop_overlap_ratio=self.crop_overlap_ratio,
            crop_n_points_downscale_factor=self.crop_n_points_downscale_factor,
            point_grids=list(self.point_grids),
            min_mask_region_area=self.min_mask_region_area,
        )

    @torch.no_grad()
    def generate(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Find all masks of an image.

        Args:
            image: RGB uint8 ``[H, W, 3]``.

        Returns:
            A record for each mask: ``segmentation`` (bool ``[H, W]`` or an RLE, by the output mode), ``area``, ``bbox``
            (x, y, width, height, the last two less one pixel than the mask has), ``predicted_iou``,
            ``point_coords`` ``[[x, y]]``, ``stability_score`` and ``crop_box`` (x, y, width, height).

        Raises:
            ImageArgumentError: the image is another kind of array.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            kind = f"{image.dtype} of shape {image.shape}" if hasattr(image, "dtype") else type(image).__name__
            raise ImageArgumentError(f"the image must be a uint8 array [H, W, 3], not {kind}")

        def encode_crop(box: Sequence[int]) -> tuple[Tensor, Frame]:
            x0, y0, x1, y1 = box
            self.predictor.set_image(np.ascontiguousarray(image[y0:y1, x0:x1]))
            embedding = self.predictor.get_image_embedding()
            self.predictor.reset_image()
            return embedding, Frame(y1 - y0, x1 - x0, self.predictor.model.input_side)

        size = (image.shape[0], image.shape[1])
        settings, network, self.tally = self._settings(), self.predictor.model, Tally()
        decoder = build_prompt_decoder(network.mask_decoder, drop_in_precision(self.predictor.device))
        found = find_masks(network, decoder, size, settings, encode_crop, tally=self.tally, published=True)
        if not found and not self._explained:
            # Once is enough: tiles of a large picture are often empty.
            self._explained = True
            _log.warning("no masks: %s", why_none(self.tally, settings, everything_thresholds(network)))
        return [self._record(one) for one in found]

    def _record(self, one: Candidate) -> dict[str, Any]:
        segmentation: Any = uncompressed_rle(one.rle)
        if self.output_mode == "binary_mask":
            segmentation = rle.decode(one.rle)
        elif self.output_mode == "coco_rle":
            segmentation = {"size": list(one.rle["size"]), "counts": one.rle["counts"].decode("ascii")}
        x0, y0, x1, y1 = one.box
        # From the first to the last pixel: one less than the mask's width and height.
        last_x, last_y = max(x1 - 1, x0), max(y1 - 1, y0)
        return {
            "segmentation": segmentation,
            "area": int(rle.area([one.rle])[0]),
            "bbox": [x0, y0, last_x - x0, last_y - y0],
            "predicted_iou": one.score,
            "point_coords": [[float(one.point[0]), float(one.point[1])]],
            "stability_score": one.stability,
            "crop_box": list(box_xyxy_to_xywh(list(one.crop))),
        }

    @staticmethod
    def postprocess_small_regions(mask_data: MaskData, min_area: int, nms_thresh: float) -> MaskData:
        """Remove small holes and islands, then duplicates, of masks in a MaskData, which is changed and returned.

        Args:
            mask_data: with the columns ``rles`` (uncompressed) and ``boxes``.
            min_area: holes and islands of fewer pixels go.
            nms_thresh: overlap of boxes above which a mask is a duplicate; unchanged masks go before changed ones.
        """
        if not len(mask_data["rles"]):
            return mask_data
        masks, unchanged = [], []
        for one in mask_data["rles"]:
            filled, holes = remove_small_regions(rle_to_mask(one), min_area, mode="holes")
            mask, islands = remove_small_regions(filled, min_area, mode="islands")
            masks.append(torch.from_numpy(np.ascontiguousarray(mask)))
            unchanged.append(not (holes or islands))
        boxes = torch.stack([batched_mask_to_box(mask) for mask in masks])
        keep = suppress(boxes.numpy(), np.array(unchanged, dtype=np.float32), nms_thresh)
        for index in keep.tolist():
            if not unchanged[index]:
                mask_data["rles"][index] = mask_to_rle_pytorch(masks[index][None])[0]
                mask_data["boxes"][index] = boxes[index]
        mask_data.filter(torch.from_numpy(keep))
        return mask_data
