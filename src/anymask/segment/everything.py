"""Everything mode: a grid of points on an image and on crops of it, and of all their masks the good and distinct ones.

The algorithm is that of the published generator (paper, section 5 and appendix B), to the order of its masks. What
differs is the order of work: a point of whose masks none is good enough never has them made, and a mask is brought to
the image's size alone, only where it is, and stays compressed from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.errors import AnymaskError
from anymask.models.sam import Sam
from anymask.segment import rle
from anymask.segment.everything_settings import EverythingSettings
from anymask.segment.frame import Frame
from anymask.segment.grids import crop_boxes, cut_off_by_crop
from anymask.segment.masks import Masks
from anymask.segment.region import Region
from anymask.segment.regions import clean_mask
from anymask.segment.rle import RLE
from anymask.segment.suppression import suppress
from anymask.segment.windows import WindowRestorer

POINTS_AT_A_TIME = {"cpu": 4, "cuda": 64, "mps": 32}
"""Few points at a time keep the image tokens of all of them in a processor's cache; a GPU wants them together."""

EncodeCrop = Callable[[Sequence[int]], tuple[Tensor, Frame]]
"""Gives the embedding ``[1, C, g, g]`` and the frame of the crop (x0, y0, x1, y1) of the image."""

Progress = Callable[[int, int], object]
"""Is told after each batch how many points are done, and of how many."""


class EverythingStoppedError(AnymaskError, RuntimeError):
    """Everything mode was stopped by the caller before it was done."""


class Candidate(NamedTuple):
    """One mask: compressed, its half-open box, and what is known of it.

    Attributes:
        rle: the mask in the image.
        box: (x0, y0, x1, y1) in the image, half-open; zeros for an empty mask.
        score: predicted IoU.
        stability: stability score.
        point: (x, y) in the image, of the point that it was asked with.
        crop: (x0, y0, x1, y1) of the crop in which it was found.
        clean: False if its regions were changed.
    """

    rle: RLE
    box: tuple[int, int, int, int]
    score: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]
    clean: bool = True


@dataclass
class Tally:
    """How much of a search was left after each of its stages; filled by the search that it is given to.

    Attributes:
        points: points asked.
        good: masks whose predicted IoU was good enough; each point has three.
        stable: of these, masks that were stable.
        kept: of these, masks inside the region, not too large and not cut off by a crop.
        distinct: of these, masks left after duplicates went.
        best_score: the best predicted IoU of all.
        best_stability: the best stability of the good masks.
    """

    points: int = 0
    good: int = 0
    stable: int = 0
    kept: int = 0
    distinct: int = 0
    best_score: float = 0.0
    best_stability: float = 0.0


@dataclass
class Watch:
    """Counts points, tells the caller, and stops when the caller wants it."""

    total: int
    progress: Progress | None = None
    stop: threading.Event | None = None
    done: int = 0

    def advance(self, points: int) -> None:
        """Count points that are done.

        Raises:
            EverythingStoppedError: the event is set.
        """
        self.done += points
        # What the callback returns means nothing: progress bars return all sorts of things.
        if self.progress is not None:
            self.progress(self.done, self.total)
        if self.stop is not None and self.stop.is_set():
            raise EverythingStoppedError(f"everything mode was stopped after {self.done} of {self.total} points")


def find_masks(
    network: Sam,
    size: tuple[int, int],
    settings: EverythingSettings,
    encode_crop: EncodeCrop,
    *,
    region: Region | None = None,
    only_uncovered: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    tally: Tally | None = None,
    published: bool = False,
) -> list[Candidate]:
    """Find all masks of an image.

    Args:
        network: the model.
        size: (height, width) of the image in pixels.
        settings: see :class:`EverythingSettings`.
        encode_crop: encodes a crop; asked once for each.
        region: where to look.
        only_uncovered: leave out points on which a mask lies already.
        progress: is told how many points are done.
        stop: an event that stops the search.
        tally: is filled with what was left after each stage.
        published: keep what the published generator gets wrong: masks one pixel thin are never taken for duplicates
            of each other.

    Returns:
        The masks in the order of the published generator: those of small crops first, then the best first.

    Raises:
        EverythingStoppedError: the caller stopped the search.
    """
    grids = settings.grids()
    # On images of a few pixels crops can be empty.
    crops = [
        (tuple(box), grids[layer])
        for box, layer in zip(*crop_boxes(size, settings.crop_n_layers, settings.crop_overlap_ratio), strict=True)
        if box[2] > box[0] and box[3] > box[1]
    ]
    placed = [(crop, _points_in(crop, grid, region)) for crop, grid in crops]
    watch = Watch(sum(len(points) for _, points in placed), progress, stop)
    watch.advance(0)
    covered = np.zeros(size, dtype=np.bool_) if only_uncovered else None
    tally = Tally() if tally is None else tally
    found: list[Candidate] = []
    for crop, points in placed:
        if len(points):
            search = _CropSearch(network, size, settings, crop, encode_crop(crop), region, covered, tally)
            in_crop = search.run(points, watch)
            found += _distinct(in_crop, [one.score for one in in_crop], settings.box_nms_thresh, published)
    if len(crops) > 1:
        preference = [1 / np.float32((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in (one.crop for one in found)]
        found = _distinct(found, preference, settings.crop_nms_thresh, published)
    if settings.min_mask_region_area > 0:
        found = [one for one in (_cleaned(one, settings) for one in found) if one is not None]
        threshold = max(settings.box_nms_thresh, settings.crop_nms_thresh)
        found = _distinct(found, [float(one.clean) for one in found], threshold, published)
    tally.distinct += len(found)
    return found


def to_masks(found: Sequence[Candidate], size: tuple[int, int]) -> Masks:
    """Put what was found into columns, best first; masks without a pixel are left out."""
    filled = [one for one in found if one.box[2] > one.box[0]]
    masks = Masks(
        [one.rle for one in filled],
        size,
        scores=[one.score for one in filled],
        stability=[one.stability for one in filled],
        points=[one.point for one in filled],
        crops=[one.crop for one in filled],
    )
    return masks.sort("scores")


def _points_in(crop: tuple[int, ...], grid: NDArray[np.float64], region: Region | None) -> NDArray[np.float64]:
    """Spread a grid over a crop, or over the part of it in the region: (x, y) in pixels of the crop."""
    x0, y0, x1, y1 = crop
    if region is None:
        spread: NDArray[np.float64] = grid * np.array([x1 - x0, y1 - y0])
        return spread
    left, top, right, bottom = region.box
    left, top, right, bottom = max(left, x0), max(top, y0), min(right, x1), min(bottom, y1)
    if right <= left or bottom <= top:
        return np.zeros((0, 2))
    points: NDArray[np.float64] = np.array([left, top]) + grid * np.array([right - left, bottom - top])
    in_crop: NDArray[np.float64] = points[region.holds(points)] - np.array([x0, y0])
    return in_crop


class _CropSearch:
    """The points of one crop, and the masks that they give."""

    def __init__(
        self,
        network: Sam,
        size: tuple[int, int],
        settings: EverythingSettings,
        crop: tuple[int, ...],
        encoded: tuple[Tensor, Frame],
        region: Region | None,
        covered: NDArray[np.bool_] | None,
        tally: Tally,
    ) -> None:
        self.tally = tally
        self.network, self.size, self.settings, self.region, self.covered = network, size, settings, region, covered
        self.crop = (crop[0], crop[1], crop[2], crop[3])
        embedding, self.frame = encoded
        encoder, decoder = network.prompt_encoder, network.mask_decoder
        self.columns = embedding.shape[-1]
        self.restorer = WindowRestorer(
            self.frame, 4 * self.columns, network.mask_threshold, settings.stability_score_offset
        )
        with torch.inference_mode():
            self.tokens, self.positions = decoder.image_tokens(
                embedding, encoder.get_dense_pe(), encoder.no_mask_embed.weight.reshape(1, 1, -1, 1, 1)
            )

    def run(self, points: NDArray[np.float64], watch: Watch) -> list[Candidate]:
        """Ask with points ``[K, 2]`` (x, y) in pixels of the crop, a batch at a time."""
        at_a_time = self.settings.points_per_batch or POINTS_AT_A_TIME.get(self.network.device.type, 4)
        found: list[Candidate] = []
        waiting = points if self.covered is None else points[_far_apart(len(points))]
        while len(waiting):
            before = len(waiting)
            waiting = waiting[~self._is_covered(waiting)]
            batch, waiting = waiting[:at_a_time], waiting[at_a_time:]
            if len(batch):
                found += self._ask(batch)
            watch.advance(before - len(waiting))
        return found

    def _is_covered(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.covered is None:
            return np.zeros(len(points), dtype=np.bool_)
        height, width = self.size
        columns, rows = (points + np.array(self.crop[:2])).astype(np.int64).T
        there: NDArray[np.bool_] = self.covered[rows.clip(max=height - 1), columns.clip(max=width - 1)]
        return there

    @torch.inference_mode()
    def _ask(self, points: NDArray[np.float64]) -> list[Candidate]:
        decoder, settings = self.network.mask_decoder, self.settings
        asked = torch.from_numpy(self.frame.to_model(points)).to(self.tokens.device)[:, None]
        labels = torch.ones(asked.shape[:2], dtype=torch.int64, device=asked.device)
        sparse = self.network.prompt_encoder.embed_points(asked, labels, pad=True)
        queries, keys, scores = decoder.attend_tokens(self.tokens, self.positions, sparse[None])
        scores = scores[0, :, 1:].float()
        good = torch.ones_like(scores, dtype=torch.bool)
        if settings.pred_iou_thresh > 0:
            good = scores > settings.pred_iou_thresh
        self.tally.points += len(points)
        self.tally.good += int(good.sum())
        self.tally.best_score = max(self.tally.best_score, scores.max().item())
        asking = good.any(1).nonzero()[:, 0]
        if not len(asking):
            return []
        if len(asking) < len(points):
            queries, keys = queries[:, asking], keys[:, asking]
        logits = decoder.masks_from_tokens(queries, keys, self.columns, slice(1, None))[0].float().cpu()
        found = []
        for place, asker in enumerate(asking.tolist()):
            for which in good[asker].nonzero()[:, 0].tolist():
                x, y = points[asker].tolist()
                at = (x + self.crop[0], y + self.crop[1])
                candidate = self._to_candidate(logits[place, which], scores[asker, which].item(), at)
                if candidate is not None:
                    found.append(candidate)
        return found

    def _to_candidate(self, logits: Tensor, score: float, point: tuple[float, float]) -> Candidate | None:
        """Bring one mask to the image's size and look at it; None if it is not wanted."""
        settings, size = self.settings, self.size
        window = self.restorer.restore(logits)
        stability = window.stability
        self.tally.best_stability = max(self.tally.best_stability, stability)
        # Not the opposite comparison: NaN, the stability of nothing, is no good either.
        if settings.stability_score_thresh > 0 and not stability >= settings.stability_score_thresh:
            return None
        self.tally.stable += 1
        mask = window.mask
        corner = (window.corner[0] + self.crop[0], window.corner[1] + self.crop[1])
        if self.region is not None:
            cut = mask & self.region.window(corner, mask.shape)
            if 2 * np.count_nonzero(cut) < np.count_nonzero(mask):
                return None
            mask = cut
        whole = rle.encode_crop(mask, corner, size) if mask.size else rle.encode_counts([size[0] * size[1]], size)
        if settings.max_mask_area < 1 and rle.area([whole])[0] > settings.max_mask_area * size[0] * size[1]:
            return None
        x0, y0, x1, y1 = (int(edge) for edge in rle.box([whole])[0])
        # The published code puts the box of an empty mask at its crop's corner, where nothing is cut off but by a crop.
        last_pixels = (x0, y0, x1 - 1, y1 - 1) if x1 > x0 else (*self.crop[:2], *self.crop[:2])
        if cut_off_by_crop(last_pixels, self.crop, size):
            return None
        self.tally.kept += 1
        if self.covered is not None:
            self.covered[corner[1] : corner[1] + mask.shape[0], corner[0] : corner[0] + mask.shape[1]] |= mask
        return Candidate(whole, (x0, y0, x1, y1), score, stability, point, self.crop)


def _far_apart(count: int) -> NDArray[np.intp]:
    """Order a row-major grid so that successive points are far apart, and each batch covers much before the next."""
    golden = (np.sqrt(5) - 1) / 2
    order: NDArray[np.intp] = np.argsort(np.arange(count) * golden % 1, kind="stable")
    return order


def _distinct(
    found: Sequence[Candidate], preference: Sequence[float] | Sequence[np.float32], threshold: float, published: bool
) -> list[Candidate]:
    """Suppress duplicates by their boxes, measured to their last pixels as the published code does."""
    if not found:
        return []
    boxes = np.array([one.box for one in found], dtype=np.int64)
    filled = boxes[:, 2] > boxes[:, 0]
    boxes[filled, 2:] -= 1
    if not published:
        # One pixel wide or high, a mask measured to its last pixel would have no area, and no duplicate.
        thin = filled[:, None] & (boxes[:, 2:] == boxes[:, :2])
        boxes[:, 2:] += thin
    return [found[place] for place in suppress(boxes, np.asarray(preference, dtype=np.float32), threshold)]


def _cleaned(one: Candidate, settings: EverythingSettings) -> Candidate | None:
    """Fill holes and drop islands; None if nothing of the mask is left."""
    cleaned, changed = clean_mask(one.rle, settings.min_mask_region_area, keep_largest=settings.keep_largest_region)
    if not changed:
        return one
    x0, y0, x1, y1 = (int(edge) for edge in rle.box([cleaned])[0])
    if x1 == x0:
        return None
    return one._replace(rle=cleaned, box=(x0, y0, x1, y1), clean=False)
