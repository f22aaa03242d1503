"""The click benchmark: how good is the first answer, and how many clicks does a good one take?"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anymask.errors import AnymaskError
from anymask.evaluate.baselines import filled_box, grab_cut
from anymask.evaluate.report import ClickReport, ClickSettings, MaskRow
from anymask.evaluate.robot import Click, first_click, next_click
from anymask.formats.datasets import InstanceDataset
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks
from anymask.segment.prompts import Prompt

CLICKS_BEFORE_STOPPING = 5
"""The robot does not stop before so many clicks, so that the IoU reported after them is of all masks."""

MASKS_AT_A_TIME = 64
"""Masks of one image that proceed together; their pixels and logits are in memory."""

GRAB_CUT_THREADS = 2

Progress = Callable[[int, int], None]


class EvaluationError(AnymaskError, ValueError):
    """An evaluation cannot be run as asked; the message says why."""


class PromptedImage(Protocol):
    """What the evaluation asks of an encoded image; :class:`anymask.EncodedImage` has it."""

    def segment_many(self, prompts: Sequence[Prompt], /) -> Masks:
        """Answer the prompts, best score first within each; the column ``prompt`` tells them apart."""


class PromptedSegmenter(Protocol):
    """What the evaluation asks of a model; :class:`anymask.Segmenter` has it."""

    name: str

    def encode(self, image: NDArray[np.uint8], /) -> PromptedImage:
        """Encode RGB uint8 ``[H, W, 3]``."""


def evaluate_clicks(
    segmenter: PromptedSegmenter,
    dataset: InstanceDataset,
    *,
    max_clicks: int = 20,
    thresholds: Sequence[float] = (0.85, 0.90),
    max_masks_per_image: int | None = None,
    max_images: int | None = None,
    min_area: int = 1,
    baselines: bool = True,
    refine_with_mask: bool = True,
    data_name: str = "",
    progress: Progress | None = None,
) -> ClickReport:
    """Let a robot segment every mask of a data set, from its box and click by click.

    This is the protocol of the paper's section 7.1 and of RITM. From the box: the true mask's tight half-open
    box, one mask in answer. Click by click: see :mod:`anymask.evaluate.robot` for where the robot clicks. The
    first click is answered by three masks, of which the one with the best predicted score goes on; every
    later answer is a single mask from all clicks so far and, with ``refine_with_mask``, the logits of the
    answer before. The robot stops at ``max_clicks``, when no pixel that it did not click is wrong any more,
    or when every threshold was reached and five clicks are done; the IoU after more clicks is then the one it
    stopped at.

    Each image is encoded once, and its masks proceed side by side in shared decoder batches.

    Args:
        segmenter: the model.
        dataset: images with true masks. Sizes are those of its images as they are.
        max_clicks: clicks a mask at most, at least 1.
        thresholds: IoU in (0, 1] to be reached, for the number of clicks; with none, the robot goes on.
        max_masks_per_image: of an image with more, so many drawn at random, always the same; None for all.
        max_images: so many images, evenly spaced over the data set; None for all.
        min_area: pixels that a true mask must have to count, at least 1.
        baselines: compare with the filled box and GrabCut from the same box.
        refine_with_mask: feed the logits of the answer before back.
        data_name: what the data is called in the report.
        progress: called with the number of images done and of all.

    Raises:
        EvaluationError: a setting is out of range, the data set has no mask to evaluate, or a mask's size is
            not its image's.
        DatasetError: an image or annotation cannot be read. Leaving it out would make reports incomparable.
    """
    settings = ClickSettings(
        max_clicks=max_clicks,
        thresholds=tuple(float(threshold) for threshold in thresholds),
        min_area=min_area,
        max_masks_per_image=max_masks_per_image,
        max_images=max_images,
        refine_with_mask=refine_with_mask,
        baselines=baselines,
    )
    _check(settings)
    chosen = list(range(len(dataset)))
    if max_images is not None and max_images < len(chosen):
        chosen = [place * len(chosen) // max_images for place in range(max_images)]
    rows: list[MaskRow] = []
    pool = ThreadPoolExecutor(min(GRAB_CUT_THREADS, os.cpu_count() or 1))
    try:
        for done, index in enumerate(chosen):
            if progress is not None:
                progress(done, len(chosen))
            rows += _evaluate_image(segmenter, dataset, index, settings, pool)
    finally:
        # An error or Ctrl-C should not wait for the cuts of hundreds of masks.
        pool.shutdown(cancel_futures=True)
    if progress is not None:
        progress(len(chosen), len(chosen))
    if not rows:
        raise EvaluationError(
            f"nothing to evaluate: {len(chosen)} images hold no mask of at least {min_area} pixels; "
            "choose another split or data set, or a smaller min_area"
        )
    return ClickReport(segmenter.name, data_name, settings, rows)


def _check(settings: ClickSettings) -> None:
    for name in ("max_clicks", "min_area", "max_masks_per_image", "max_images"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise EvaluationError(f"{name} must be at least 1, not {value}")
    wrong = [threshold for threshold in settings.thresholds if not 0 < threshold <= 1]
    if wrong:
        raise EvaluationError(f"thresholds are IoU above 0 and up to 1, such as 0.85; got {wrong}")


@dataclass
class _Session:
    """The robot at work on one mask."""

    target: NDArray[np.bool_]
    clicks: list[Click] = field(default_factory=list)
    answer: Masks | None = None
    first_ious: list[float] = field(default_factory=list)
    first_scores: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)

    def prompt(self, refine_with_mask: bool) -> Prompt:
        return Prompt(
            points=[(click.x, click.y) for click in self.clicks],
            labels=[click.label for click in self.clicks],
            mask=self.answer if refine_with_mask else None,
            multimask=self.answer is None,
        )

    def finished(self, settings: ClickSettings) -> bool:
        count = len(self.ious)
        if count < min(CLICKS_BEFORE_STOPPING, settings.max_clicks):
            return False
        if count >= settings.max_clicks:
            return True
        return bool(settings.thresholds) and max(self.ious) >= max(settings.thresholds)


def _evaluate_image(
    segmenter: PromptedSegmenter,
    dataset: InstanceDataset,
    index: int,
    settings: ClickSettings,
    pool: ThreadPoolExecutor,
) -> list[MaskRow]:
    name = dataset.name(index)
    rles = dataset.masks(index)
    if not rles:
        return []
    try:
        truth = Masks.from_rles(rles)
    except MaskError as error:
        raise EvaluationError(f"{name}: {error}") from error
    chosen = np.flatnonzero(truth.areas >= settings.min_area)
    limit = settings.max_masks_per_image
    if limit is not None and len(chosen) > limit:
        # Seeded by the name, so that neither the order of the images nor their number changes the choice.
        generator = np.random.default_rng(zlib.crc32(name.encode()))
        chosen = np.sort(generator.choice(chosen, limit, replace=False))
    if not len(chosen):
        return []
    image = dataset.image(index)
    if image.shape[:2] != truth.size:
        raise EvaluationError(
            f"{name} is {image.shape[1]} x {image.shape[0]} pixels, its masks are of {truth.size[1]} x "
            f"{truth.size[0]}; the annotations belong to another version of the image"
        )
    categories = dataset.categories(index)
    cuts: list[Future[float]] = []
    if settings.baselines:
        cuts = [pool.submit(_grab_cut_iou, image, truth, int(position)) for position in chosen]
    encoded = segmenter.encode(image)
    rows = []
    for start in range(0, len(chosen), MASKS_AT_A_TIME):
        positions = chosen[start : start + MASKS_AT_A_TIME]
        sessions = [_Session(truth.mask(int(position))) for position in positions]
        boxed = _answers(encoded, [Prompt(box=truth.boxes[position], multimask=False) for position in positions])
        _click(encoded, sessions, settings)
        for at, (position, session, box_answer) in enumerate(zip(positions, sessions, boxed, strict=True)):
            against: dict[str, Any] = {}
            if settings.baselines:
                filled = filled_box(truth.boxes[position].tolist(), truth.size)
                against["filled_box_iou"] = _iou(filled, session.target)
                against["grab_cut_iou"] = cuts[start + at].result()
            rows.append(
                MaskRow(
                    image=name,
                    mask=int(position),
                    category=categories[position],
                    area=int(truth.areas[position]),
                    box_iou=_iou(box_answer.mask(0), session.target),
                    box_score=_scores(box_answer)[0],
                    click_1_ious=tuple(session.first_ious),
                    click_1_scores=tuple(session.first_scores),
                    click_ious=tuple(session.ious),
                    **against,
                )
            )
    return rows


def _grab_cut_iou(image: NDArray[np.uint8], truth: Masks, position: int) -> float:
    return _iou(grab_cut(image, truth.boxes[position].tolist()), truth.mask(position))


def _click(encoded: PromptedImage, sessions: Sequence[_Session], settings: ClickSettings) -> None:
    """Let the robot work on masks of one image until all are finished."""
    for session in sessions:
        click = first_click(session.target)
        assert click is not None, "masks without pixels are never evaluated"
        session.clicks.append(click)
    working = list(sessions)
    while working:
        answers = _answers(encoded, [session.prompt(settings.refine_with_mask) for session in working])
        still = []
        for session, answer in zip(working, answers, strict=True):
            prediction = answer.mask(0)
            session.ious.append(_iou(prediction, session.target))
            if session.answer is None:
                others = [_iou(answer.mask(i), session.target) for i in range(1, len(answer))]
                session.first_ious = [session.ious[0], *others]
                session.first_scores = _scores(answer)
            session.answer = answer[0]
            if session.finished(settings):
                continue
            click = next_click(session.target, prediction, session.clicks)
            if click is not None:
                session.clicks.append(click)
                still.append(session)
        working = still


def _answers(encoded: PromptedImage, prompts: Sequence[Prompt]) -> list[Masks]:
    """Return the answer to each prompt, best score first."""
    masks = encoded.segment_many(prompts)
    assert masks.prompt is not None, "segment_many says which prompt each mask answers"
    return [masks[np.flatnonzero(masks.prompt == number)] for number in range(len(prompts))]


def _scores(answer: Masks) -> list[float]:
    assert answer.scores is not None, "every answer has predicted scores"
    return [float(score) for score in answer.scores]


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0
