"""The settings of everything mode, and their presets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymask.models.registry import PUBLISHED_THRESHOLDS, EverythingThresholds
from anymask.segment.columns import to_numpy
from anymask.segment.errors import PromptError
from anymask.segment.grids import layer_point_grids

CROP_OVERLAP_RATIO = 512 / 1500
MAX_CROP_LAYERS = 6
"""4,096 crops in the last layer; more would only be a mistyped number."""
MAX_POINTS_PER_SIDE = 1024


class EverythingSettingsError(PromptError):
    """A setting of everything mode is unknown or out of its range."""


@dataclass(frozen=True)
class EverythingSettings:
    """How everything mode looks for masks; names and defaults are those of the published generator.

    The two thresholds on which a model's masks depend most are the model's own unless they are given.

    Attributes:
        points_per_side: points of the grid along a side of the image.
        points_per_batch: points that the decoder answers at a time; None for what is fastest on the device.
        pred_iou_thresh: masks whose predicted IoU does not exceed this are dropped; 0 keeps all, None is what the
            model recommends.
        stability_score_thresh: masks less stable than this are dropped; 0 keeps all, None is what the model recommends.
        stability_score_offset: how far the threshold of the logits is moved up and down to measure stability.
        box_nms_thresh: of two masks in one crop whose boxes overlap by more, the worse is dropped.
        crop_n_layers: layers of crops that are looked at besides the whole image; layer i has 4^i.
        crop_nms_thresh: of two masks from different crops whose boxes overlap by more, that of the larger crop is
            dropped.
        crop_overlap_ratio: overlap of crops in the first layer, as a fraction of the image's short side.
        crop_n_points_downscale_factor: the grid of layer i has points_per_side / factor^i points a side.
        point_grids: for the image and each layer of crops, points ``[K, 2]`` (x, y) in 0..1; takes the place of
            points_per_side and crop_n_points_downscale_factor.
        min_mask_region_area: holes and islands of fewer pixels are filled and dropped; 0 leaves masks as they are.
        keep_largest_region: the largest island stays even if it is that small, as in the published code; the paper's
            release dropped such masks.
        max_mask_area: masks that cover more than this fraction of the image are dropped; 1 keeps all.

    Raises:
        EverythingSettingsError: a value is out of its range.
    """

    points_per_side: int = 32
    points_per_batch: int | None = None
    pred_iou_thresh: float | None = None
    stability_score_thresh: float | None = None
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = CROP_OVERLAP_RATIO
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[ArrayLike] | None = None
    min_mask_region_area: int = 0
    keep_largest_region: bool = True
    max_mask_area: float = 1.0

    def __post_init__(self) -> None:
        whole = {
            "points_per_side": (1, MAX_POINTS_PER_SIDE),
            "crop_n_layers": (0, MAX_CROP_LAYERS),
            "crop_n_points_downscale_factor": (1, MAX_POINTS_PER_SIDE),
        }
        if self.points_per_batch is not None:
            whole["points_per_batch"] = (1, 1 << 20)
        for name, (low, high) in whole.items():
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or not low <= value <= high:
                raise EverythingSettingsError(f"{name} is a whole number from {low} to {high}, not {value!r}")
        ranges = {
            "pred_iou_thresh": (0.0, math.inf),
            "stability_score_thresh": (0.0, 1.0),
            "stability_score_offset": (0.0, math.inf),
            "box_nms_thresh": (0.0, 1.0),
            "crop_nms_thresh": (0.0, 1.0),
            "crop_overlap_ratio": (0.0, 1.0),
            "min_mask_region_area": (0, math.inf),
            "max_mask_area": (0.0, 1.0),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if value is None and getattr(type(self), name) is None:
                continue
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not least <= value <= most or math.isinf(value):
                limits = f"at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
                raise EverythingSettingsError(f"{name} is a number {limits}, not {value!r}")
        self.grids()

    def resolve(self, thresholds: EverythingThresholds) -> ResolvedSettings:
        """Take the thresholds that nobody gave from a model's."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        own = {"pred_iou_thresh": thresholds.pred_iou, "stability_score_thresh": thresholds.stability_score}
        return ResolvedSettings(**{**given, **{name: own[name] for name in own if given[name] is None}})

    def grids(self) -> list[NDArray[np.float64]]:
        """Return the points of the image and of each layer of crops, float64 ``[K, 2]`` (x, y) in 0..1 each.

        Raises EverythingSettingsError if point_grids is not that.
        """
        if self.point_grids is None:
            return layer_point_grids(self.points_per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)
        try:
            grids = [np.asarray(to_numpy(grid), dtype=np.float64) for grid in self.point_grids]
        except (TypeError, ValueError):
            raise EverythingSettingsError("point_grids is a list of arrays [K, 2] of numbers") from None
        if len(grids) <= self.crop_n_layers:
            raise EverythingSettingsError(
                f"point_grids needs a grid for the image and one for each of the {self.crop_n_layers} crop layers; "
                f"got {len(grids)}"
            )
        for index, grid in enumerate(grids):
            if grid.size and (grid.ndim != 2 or grid.shape[1] != 2):
                shape = list(grid.shape)
                raise EverythingSettingsError(f"point_grids[{index}] must have the shape [K, 2], not {shape}")
            if not ((grid >= 0) & (grid <= 1)).all():
                raise EverythingSettingsError(
                    f"point_grids[{index}] must lie in 0..1, as fractions of the image's width and height"
                )
        return [grid.reshape(-1, 2) for grid in grids]


@dataclass(frozen=True)
class ResolvedSettings(EverythingSettings):
    """Settings that leave nothing to the model; the thresholds' defaults are the published ones."""

    pred_iou_thresh: float = PUBLISHED_THRESHOLDS.pred_iou
    stability_score_thresh: float = PUBLISHED_THRESHOLDS.stability_score


PRESETS: dict[str, EverythingSettings] = {
    "default": EverythingSettings(),
    "sa1b": EverythingSettings(
        pred_iou_thresh=PUBLISHED_THRESHOLDS.pred_iou,
        stability_score_thresh=PUBLISHED_THRESHOLDS.stability_score,
        crop_n_layers=2,
        crop_n_points_downscale_factor=2,
        min_mask_region_area=100,
        keep_largest_region=False,
        max_mask_area=0.95,
    ),
    "fine": EverythingSettings(crop_n_layers=1, crop_n_points_downscale_factor=2, min_mask_region_area=100),
    "fast": EverythingSettings(points_per_side=16),
}
"""``default``: the published generator's; ``sa1b``: with which the paper's data set was made (paper, appendix B),
thresholds included; ``fine``: small objects too, at twice the cost; ``fast``: a quarter of the points. All but ``sa1b``
have the model's thresholds."""


def choose_settings(preset: str | EverythingSettings, changes: dict[str, Any]) -> EverythingSettings:
    """Take a preset, by its name or as settings, with some of its settings changed.

    Raises:
        EverythingSettingsError: the preset or a setting is unknown, or a value is out of its range.
    """
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise EverythingSettingsError(f"unknown preset {preset!r}: use {', '.join(PRESETS)}")
        preset = PRESETS[preset]
    elif not isinstance(preset, EverythingSettings):
        raise EverythingSettingsError(
            f"a preset is one of {', '.join(PRESETS)}, or EverythingSettings; not {type(preset).__name__}"
        )
    names = [field.name for field in fields(EverythingSettings)]
    unknown = sorted(changes.keys() - set(names))
    if unknown:
        raise EverythingSettingsError(f"everything mode has no setting {unknown[0]!r}; it has {', '.join(names)}")
    return replace(preset, **changes)
