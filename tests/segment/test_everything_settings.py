import numpy as np
import pytest

from anymask.models.registry import EverythingThresholds
from anymask.segment.everything_settings import (
    PRESETS,
    EverythingSettings,
    EverythingSettingsError,
    ResolvedSettings,
    choose_settings,
)


def test_the_defaults_are_the_published_ones():
    default = EverythingSettings()
    assert PRESETS["default"] == default
    assert (default.points_per_side, default.box_nms_thresh) == (32, 0.7)
    resolved = ResolvedSettings()
    assert (resolved.pred_iou_thresh, resolved.stability_score_thresh) == (0.88, 0.95)
    values = (default.crop_n_layers, default.crop_nms_thresh, default.crop_overlap_ratio, default.min_mask_region_area)
    assert values == (0, 0.7, 512 / 1500, 0)


def test_the_release_has_thinner_grids_on_smaller_crops():
    assert [len(grid) for grid in PRESETS["sa1b"].grids()] == [32**2, 16**2, 8**2]


@pytest.mark.parametrize("preset", ["default", "fine", "fast", EverythingSettings(points_per_side=5)])
def test_thresholds_that_nobody_gave_are_the_model_s(preset):
    own = EverythingThresholds(0.4, 0.3)
    settings = choose_settings(preset, {}).resolve(own)
    assert isinstance(settings, ResolvedSettings)
    assert (settings.pred_iou_thresh, settings.stability_score_thresh) == own
    before = choose_settings(preset, {})
    assert settings == ResolvedSettings(**{**vars(before), "pred_iou_thresh": 0.4, "stability_score_thresh": 0.3})


@pytest.mark.parametrize(
    ("preset", "changes", "expected"),
    [
        ("default", {"pred_iou_thresh": 0.7}, (0.7, 0.3)),
        ("fast", {"stability_score_thresh": 0}, (0.4, 0)),
        ("default", {"pred_iou_thresh": 0, "stability_score_thresh": 1.0}, (0, 1.0)),
        ("default", {"pred_iou_thresh": None}, (0.4, 0.3)),
        ("sa1b", {}, (0.88, 0.95)),
        ("sa1b", {"pred_iou_thresh": 0.5}, (0.5, 0.95)),
        ("sa1b", {"pred_iou_thresh": None}, (0.4, 0.95)),
        (EverythingSettings(pred_iou_thresh=0.6), {}, (0.6, 0.3)),
        (ResolvedSettings(), {}, (0.88, 0.95)),
    ],
)
def test_thresholds_that_were_given_stay(preset, changes, expected):
    settings = choose_settings(preset, changes).resolve(EverythingThresholds(0.4, 0.3))
    assert (settings.pred_iou_thresh, settings.stability_score_thresh) == expected


def test_resolved_settings_leave_nothing_open():
    with pytest.raises(EverythingSettingsError, match="pred_iou_thresh is a number at least 0, not None"):
        ResolvedSettings(pred_iou_thresh=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points_per_side": 0}, "points_per_side is a whole number from 1 to 1024, not 0"),
        ({"points_per_side": 32.0}, "points_per_side is a whole number"),
        ({"points_per_side": True}, "points_per_side is a whole number"),
        ({"points_per_batch": 0}, "points_per_batch is a whole number from 1"),
        ({"pred_iou_thresh": -0.1}, "pred_iou_thresh is a number at least 0, not -0.1"),
        ({"pred_iou_thresh": float("nan")}, "pred_iou_thresh is a number"),
        ({"stability_score_thresh": True}, "stability_score_thresh is a number from 0 to 1, not True"),
        ({"pred_iou_thresh": "high"}, "pred_iou_thresh is a number"),
        ({"stability_score_thresh": 95}, "stability_score_thresh is a number from 0 to 1, not 95"),
        ({"stability_score_offset": float("inf")}, "stability_score_offset is a number"),
        ({"box_nms_thresh": 1.1}, "box_nms_thresh is a number from 0 to 1"),
        ({"crop_n_layers": 9}, "crop_n_layers is a whole number from 0 to 6"),
        ({"crop_overlap_ratio": None}, "crop_overlap_ratio is a number"),
        ({"crop_n_points_downscale_factor": 0}, "crop_n_points_downscale_factor is a whole number from 1"),
        ({"min_mask_region_area": -1}, "min_mask_region_area is a number at least 0"),
        ({"max_mask_area": 95}, "max_mask_area is a number from 0 to 1"),
        ({"point_grids": [[(0.5, 0.5)]], "crop_n_layers": 1}, "a grid for the image and one for each of the 1 crop"),
        ({"point_grids": [[(50, 0.5)]]}, r"point_grids\[0\] must lie in 0..1"),
        ({"point_grids": [[(np.nan, 0.5)]]}, r"point_grids\[0\] must lie in 0..1"),
        ({"point_grids": [[0.5, 0.5]]}, r"point_grids\[0\] must have the shape \[K, 2\], not \[2\]"),
        ({"point_grids": 3}, "point_grids is a list of arrays"),
    ],
)
def test_values_out_of_range(changes, message):
    with pytest.raises(EverythingSettingsError, match=message):
        choose_settings("default", changes)


def test_settings_of_ones_own_can_be_changed_too():
    mine = EverythingSettings(points_per_side=5)
    assert choose_settings(mine, {"crop_n_layers": 1}) == EverythingSettings(points_per_side=5, crop_n_layers=1)
    assert mine.crop_n_layers == 0
    with pytest.raises(EverythingSettingsError, match="a preset is one of"):
        choose_settings(3, {})  # type: ignore[arg-type]
