"""Everything mode: a grid of points on an image and on crops of it, and of all their masks the good and distinct ones.

The algorithm is that of the published generator (paper, section 5 and appendix B), to the order of its masks. What
differs is the order of work: a point of whose masks none is good enough never has them made, and a mask is brought to
the image's size alone, only where it is, and stays compressed from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymask.errors import AnymaskError
from anymask.models.prompt_decoder import PromptDecoder
from anymask.models.sam import Sam
from anymask.segment import rle
from anymask.segment.everything_settings import EverythingSettings, ResolvedSettings
from anymask.segment.frame import Frame
from anymask.segment.grids import crop_boxes, cut_off_by_crop
from anymask.segment.masks import Masks
from anymask.segment.region import Region
from anymask.segment.regions import clean_mask
from anymask.segment.rle import RLE
from anymask.segment.suppression import suppress
from anymask.segment.windows import WindowRestorer
from anymask.segment.workers import map_on_workers

SCORE_ERROR = 0.02
"""More than an IoU predicted in bfloat16 is wrong by: 0.0096 was the most of 8,448 predictions on photographs."""
STABILITY_ERROR, STABILITY_ERROR_OF_CELLS = 0.03, 5.0
"""Stability measured in bfloat16 on the cells of the low-resolution grid was never below the exact one by more than the
first and the second divided by the number of cells, in the same predictions."""


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

    def add(self, other: Tally) -> None:
        """Count in what another search, or a part of this one, has counted."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, max(mine, theirs) if one.name.startswith("best") else mine + theirs)


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
    decoder: PromptDecoder,
    size: tuple[int, int],
    settings: ResolvedSettings,
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
        decoder: its mask decoder.
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
            search = _CropSearch(network, decoder, size, settings, crop, encode_crop(crop), region, covered, tally)
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
        decoder: PromptDecoder,
        size: tuple[int, int],
        settings: ResolvedSettings,
        crop: tuple[int, ...],
        encoded: tuple[Tensor, Frame],
        region: Region | None,
        covered: NDArray[np.bool_] | None,
        tally: Tally,
    ) -> None:
        self.tally = tally
        self.decoder = decoder
        self.network, self.size, self.settings, self.region, self.covered = network, size, settings, region, covered
        self.crop = (crop[0], crop[1], crop[2], crop[3])
        embedding, self.frame = encoded
        self.on_processor = embedding.device.type == "cpu"
        encoder = network.prompt_encoder
        self.restorer = WindowRestorer(
            self.frame, 4 * embedding.shape[-1], network.mask_threshold, settings.stability_score_offset
        )
        shared = (embedding, encoder.get_dense_pe(), encoder.no_mask_embed.weight)
        self.image = decoder.prepare(*shared)
        self.exact = decoder.in_float32()
        self.exact_image = self.image if decoder is self.exact else self.exact.prepare(*shared)

    def run(self, points: NDArray[np.float64], watch: Watch) -> list[Candidate]:
        """Ask with points ``[K, 2]`` (x, y) in pixels of the crop, a batch at a time."""
        if self.covered is not None:
            # What one batch finds decides what is asked next, so that batches must not depend on the precision.
            at_a_time = self.exact.prompts_at_a_time(self.exact_image, self.settings.points_per_batch)
            return self._run_on_uncovered(points[_far_apart(len(points))], at_a_time, watch)
        at_a_time = self.decoder.prompts_at_a_time(self.image, self.settings.points_per_batch)
        batches = [points[start : start + at_a_time] for start in range(0, len(points), at_a_time)]
        # A GPU is kept busy by one thread.
        answers = map_on_workers(self._ask, batches) if self.on_processor else map(self._ask, batches)
        found: list[Candidate] = []
        for batch, (candidates, tally) in zip(batches, answers, strict=True):
            found += candidates
            self.tally.add(tally)
            watch.advance(len(batch))
        return found

    def _run_on_uncovered(self, waiting: NDArray[np.float64], at_a_time: int, watch: Watch) -> list[Candidate]:
        """Ask one batch after the other, because the masks of each decide what is asked next."""
        found: list[Candidate] = []
        while len(waiting):
            before = len(waiting)
            waiting = waiting[~self._is_covered(waiting)]
            batch, waiting = waiting[:at_a_time], waiting[at_a_time:]
            if len(batch):
                candidates, tally = self._ask(batch)
                found += candidates
                self.tally.add(tally)
                for one in candidates:
                    self._cover(one)
            watch.advance(before - len(waiting))
        return found

    def _cover(self, one: Candidate) -> None:
        assert self.covered is not None
        x0, y0, x1, y1 = one.box
        self.covered[y0:y1, x0:x1] |= rle.decode(one.rle)[y0:y1, x0:x1]

    def _is_covered(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        assert self.covered is not None
        height, width = self.size
        columns, rows = (points + np.array(self.crop[:2])).astype(np.int64).T
        there: NDArray[np.bool_] = self.covered[rows.clip(max=height - 1), columns.clip(max=width - 1)]
        return there

    def _embed(self, points: NDArray[np.float64]) -> Tensor:
        """Embed points ``[K, 2]`` (x, y) in pixels of the crop as tokens ``[K, 2, C]``."""
        asked = torch.from_numpy(self.frame.to_model(points)).to(self.image.keys.device)[:, None]
        labels = torch.ones(asked.shape[:2], dtype=torch.int64, device=asked.device)
        return self.network.prompt_encoder.embed_points(asked, labels, pad=True)

    @torch.inference_mode()
    def _ask(self, points: NDArray[np.float64]) -> tuple[list[Candidate], Tally]:
        """Ask with points ``[K, 2]`` (x, y) in pixels of the crop.

        If the decoder computes in less than float32, it only says which masks are out of the question. Masks of
        neighbouring points are alike, so that rounding would decide which of them stays.
        """
        tokens = self._embed(points)
        if self.decoder is self.exact:
            return self._ask_exactly(points, tokens, None)
        possible, tally = self._screen(tokens)
        worth = possible.any(1).cpu()
        if not worth.any():
            return [], tally
        found, exact_tally = self._ask_exactly(points[worth.numpy()], tokens[worth], possible[worth])
        tally.add(exact_tally)
        return found, tally

    def _screen(self, tokens: Tensor) -> tuple[Tensor, Tally]:
        """Find the masks ``[K, 3]`` that may pass the thresholds, and count those of the points that have none."""
        attended = self.decoder.attend(self.image, tokens, slice(1, None))
        scores = attended.predicted_iou.float()
        possible, best_stability = self._good(scores, SCORE_ERROR), 0.0
        threshold, settings = self.network.mask_threshold, self.settings
        if settings.stability_score_thresh > 0:
            logits = self.decoder.masks(attended, possible, self.restorer.cells)
            above = (logits > threshold + settings.stability_score_offset).sum((1, 2))
            below = (logits > threshold - settings.stability_score_offset).sum((1, 2))
            # Multiplied by the number of cells, because there may be none.
            short = settings.stability_score_thresh * below - above
            stable = short <= STABILITY_ERROR * below + STABILITY_ERROR_OF_CELLS
            best_stability = max((above / below)[~stable].tolist(), default=0.0)
            possible[possible.clone()] = stable
        tally = self._count(scores[~possible.any(1)])
        tally.best_stability = best_stability
        return possible, tally

    def _good(self, scores: Tensor, error: float = 0.0) -> Tensor:
        """Say which predicted IoUs ``[K, 3]`` are good enough, or may be."""
        least = self.settings.pred_iou_thresh
        return scores > least - error if least > 0 else torch.ones_like(scores, dtype=torch.bool)

    def _count(self, scores: Tensor) -> Tally:
        """Count points, and masks by their predicted IoUs ``[K, 3]``."""
        good = int(self._good(scores).sum())
        return Tally(points=len(scores), good=good, best_score=max(scores.flatten().tolist(), default=0.0))

    def _ask_exactly(
        self, points: NDArray[np.float64], tokens: Tensor, possible: Tensor | None
    ) -> tuple[list[Candidate], Tally]:
        """Ask in float32, only for the possible masks ``[K, 3]`` if they are given."""
        attended = self.exact.attend(self.exact_image, tokens, slice(1, None))
        scores = attended.predicted_iou.float()
        good, tally = self._good(scores), self._count(scores)
        if possible is not None:
            good &= possible
        logits = self.exact.masks(attended, good, self.restorer.cells).cpu()
        found = []
        for one, score, (asker, _) in zip(logits, scores[good].tolist(), good.nonzero().tolist(), strict=True):
            x, y = points[asker].tolist()
            candidate = self._to_candidate(one, score, (x + self.crop[0], y + self.crop[1]), tally)
            if candidate is not None:
                found.append(candidate)
        return found, tally

    def _to_candidate(self, logits: Tensor, score: float, point: tuple[float, float], tally: Tally) -> Candidate | None:
        """Bring one mask to the image's size and look at it; None if it is not wanted."""
        settings, size = self.settings, self.size
        window = self.restorer.restore(logits)
        stability = window.stability
        if stability > tally.best_stability:
            tally.best_stability = stability
        # Not the opposite comparison: NaN, the stability of nothing, is no good either.
        if settings.stability_score_thresh > 0 and not stability >= settings.stability_score_thresh:
            return None
        tally.stable += 1
        mask = window.mask
        corner = (window.corner[0] + self.crop[0], window.corner[1] + self.crop[1])
        if self.region is not None:
            cut = mask & self.region.window(corner, mask.shape)
            if 2 * np.count_nonzero(cut) < np.count_nonzero(mask):
                return None
            mask = cut
        whole = rle.encode_part(mask, corner, size)
        if settings.max_mask_area < 1 and rle.area([whole])[0] > settings.max_mask_area * size[0] * size[1]:
            return None
        x0, y0, x1, y1 = (int(edge) for edge in rle.box([whole])[0])
        # The published code puts the box of an empty mask at its crop's corner, where nothing is cut off but by a crop.
        last_pixels = (x0, y0, x1 - 1, y1 - 1) if x1 > x0 else (*self.crop[:2], *self.crop[:2])
        if cut_off_by_crop(last_pixels, self.crop, size):
            return None
        tally.kept += 1
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
