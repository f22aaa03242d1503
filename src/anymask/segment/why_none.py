"""Why everything mode found no mask, in a sentence."""

from __future__ import annotations

from collections.abc import Callable

from anymask.models.registry import EverythingThresholds
from anymask.segment.everything import Tally
from anymask.segment.everything_settings import ResolvedSettings


def why_none(
    tally: Tally, settings: ResolvedSettings, recommended: EverythingThresholds, spell: Callable[[str], str] = str
) -> str:
    """Say at which stage a search that found no mask lost the last one, and what to change.

    Args:
        tally: of that search.
        settings: of that search.
        recommended: the thresholds that suit the model.
        spell: turns a setting's name into what the reader would type.
    """
    if tally.points == 0:
        return f"no point of the grid lies in the region: raise {spell('points_per_side')}"
    if tally.good == 0:
        name, best, own = "pred_iou_thresh", tally.best_score, recommended.pred_iou
        what = "the best predicted IoU"
    elif tally.stable == 0 and tally.best_stability == 0:
        return f"none of the {tally.good:,} good masks has a pixel that is surely on it"
    elif tally.stable == 0:
        name, best, own = "stability_score_thresh", tally.best_stability, recommended.stability_score
        what = f"the best stability of {tally.good:,} masks"
    elif tally.kept == 0:
        reasons = ["mostly outside the region"]
        reasons += ["cut off by a crop"] if settings.crop_n_layers else []
        reasons += [f"larger than {spell('max_mask_area')} allows"] if settings.max_mask_area < 1 else []
        return f"all of the {tally.stable:,} good masks are {' or '.join(reasons)}"
    elif tally.distinct == 0:
        return f"all of the {tally.kept:,} good masks are smaller than {spell('min_mask_region_area')}"
    else:
        return f"all of the {tally.distinct:,} good masks are empty"
    threshold: float = getattr(settings, name)
    suited = f" ({own:g} suits this model)" if own < threshold else ""
    return f"{what} is {best:.3f}, and {spell(name)} is {threshold:g}{suited}: try a lower one"
