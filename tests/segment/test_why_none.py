import pytest

from anymask.models.registry import EverythingThresholds
from anymask.segment.everything import Tally
from anymask.segment.everything_settings import ResolvedSettings
from anymask.segment.why_none import why_none

OWN = EverythingThresholds(0.4, 0.3)


@pytest.mark.parametrize(
    ("tally", "settings", "sentence"),
    [
        ({}, {}, "no point of the grid lies in the region: raise points_per_side"),
        (
            {"points": 9, "best_score": 0.5234},
            {},
            "the best predicted IoU is 0.523, and pred_iou_thresh is 0.88 (0.4 suits this model): try a lower one",
        ),
        (
            {"points": 9, "best_score": 0.3},
            {"pred_iou_thresh": 0.4},
            "the best predicted IoU is 0.300, and pred_iou_thresh is 0.4: try a lower one",
        ),
        (
            {"points": 9, "good": 1234, "best_stability": 0.2},
            {"stability_score_thresh": 0.25},
            "the best stability of 1,234 masks is 0.200, and stability_score_thresh is 0.25: try a lower one",
        ),
        ({"points": 9, "good": 7}, {}, "none of the 7 good masks has a pixel that is surely on it"),
        ({"points": 9, "good": 7, "stable": 5}, {}, "all of the 5 good masks are mostly outside the region"),
        (
            {"points": 9, "good": 7, "stable": 5},
            {"crop_n_layers": 1, "max_mask_area": 0.5},
            "all of the 5 good masks are mostly outside the region or cut off by a crop or larger than max_mask_area "
            "allows",
        ),
        (
            {"points": 9, "good": 7, "stable": 5, "kept": 4},
            {"min_mask_region_area": 100},
            "all of the 4 good masks are smaller than min_mask_region_area",
        ),
        ({"points": 9, "good": 7, "stable": 5, "kept": 4, "distinct": 1}, {}, "all of the 1 good masks are empty"),
    ],
)
def test_each_stage_has_its_sentence(tally, settings, sentence):
    assert why_none(Tally(**tally), ResolvedSettings(**settings), OWN) == sentence


def test_settings_are_spelt_as_the_reader_types_them():
    text = why_none(Tally(points=1), ResolvedSettings(), OWN, lambda name: f"--{name}")
    assert "and --pred_iou_thresh is 0.88" in text
