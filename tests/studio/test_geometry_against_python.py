"""The studio's masks, coordinates and outlines are those of the Python package."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.frame import Frame
from anymask.segment.polygons import Polygon, polygons_to_mask
from anymask.segment.windows import WindowRestorer

WEB = Path(__file__).parents[2] / "web"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(not (WEB / "node_modules" / "vite").is_dir(), reason="npm ci was not run in web/"),
]


@dataclass(frozen=True)
class FrameCase:
    frame: Frame
    logits: NDArray[np.float32]
    points: NDArray[np.float64]
    mask: NDArray[np.bool_]
    threshold: float
    is_smooth: bool


def _blobs(generator: np.random.Generator, height: int, width: int, smooth: float) -> NDArray[np.float32]:
    noise = generator.normal(size=(height, width)).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), smooth), dtype=np.float32) if smooth else noise
    return blurred / max(float(np.abs(blurred).max()), 1e-6) * 8


def _masks() -> list[NDArray[np.bool_]]:
    generator = np.random.default_rng(7)
    sizes = [(1, 1), (1, 9), (9, 1), (17, 23), (64, 200), (200, 64)]
    masks = [_blobs(generator, *size, smooth) > level for size in sizes for smooth in (0, 2) for level in (-9, 0, 3, 9)]
    large = _blobs(generator, 700, 900, 20) > 1
    return [*masks, large]


def _frames() -> list[FrameCase]:
    generator = np.random.default_rng(8)
    shapes = [
        (1, 1, 512, 128),
        (2000, 37, 512, 128),
        (37, 2000, 512, 128),
        (480, 640, 512, 128),
        (640, 480, 1024, 256),
        (100, 50, 512, 128),
        (333, 512, 512, 128),
        (1500, 2250, 512, 128),
        (7, 5, 64, 16),
        (1201, 799, 1024, 256),
    ]
    cases = []
    for height, width, side, grid in shapes:
        for smooth, threshold in [(0.0, 0.0), (3.0, 0.0), (6.0, 0.5)]:
            points = generator.uniform(0, [width, height], (5, 2))
            mask = _blobs(generator, height, width, smooth) > 1
            cases.append(
                FrameCase(
                    Frame(height, width, side),
                    _blobs(generator, grid, grid, smooth),
                    points,
                    mask,
                    threshold,
                    smooth > 0,
                )
            )
    everywhere = np.ones((128, 128), dtype=np.float32)
    for logits in (everywhere, -everywhere, 0 * everywhere):
        frame = Frame(301, 400, 512)
        cases.append(FrameCase(frame, logits, np.zeros((1, 2)), np.ones((301, 400), dtype=np.bool_), 0.0, True))
    return cases


def _counts(mask: NDArray[np.bool_]) -> str:
    return rle.encode_mask(mask)["counts"].decode()


def _size(shape: Sequence[int]) -> dict[str, int]:
    return {"height": shape[0], "width": shape[1]}


@pytest.fixture(scope="module")
def masks() -> list[NDArray[np.bool_]]:
    return _masks()


@pytest.fixture(scope="module")
def frames() -> list[FrameCase]:
    return _frames()


def _pairs(masks: Sequence[NDArray[np.bool_]]) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    return [(a, b) for a, b in pairwise(masks) if a.shape == b.shape]


@pytest.fixture(scope="module")
def answers(masks: list[NDArray[np.bool_]], frames: list[FrameCase]) -> dict[str, Any]:
    questions = {
        "masks": [{"counts": _counts(mask), "size": _size(mask.shape)} for mask in masks],
        "pairs": [{"first": _counts(a), "second": _counts(b), "size": _size(a.shape)} for a, b in _pairs(masks)],
        "frames": [
            {
                "height": case.frame.height,
                "width": case.frame.width,
                "side": case.frame.side,
                "grid": case.logits.shape[0],
                "logits": base64.b64encode(case.logits.tobytes()).decode(),
                "points": case.points.tolist(),
                "counts": _counts(case.mask),
                "threshold": case.threshold,
            }
            for case in frames
        ],
    }
    done = subprocess.run(
        ["node", str(WEB / "tests" / "geometry" / "answer.mjs")],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        cwd=WEB,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def _fill(rings: Sequence[Sequence[float]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill by the even-odd rule."""
    outlines = [np.asarray(ring, dtype=np.float32).reshape(-1, 2) for ring in rings]
    return (
        polygons_to_mask([Polygon(outlines[0], outlines[1:])], shape) if outlines else np.zeros(shape, dtype=np.bool_)
    )


def test_run_lengths_areas_and_boxes(answers: dict[str, Any], masks: list[NDArray[np.bool_]]) -> None:
    for mask, answer in zip(masks, answers["masks"], strict=True):
        encoded = rle.encode_mask(mask)
        assert answer["counts"] == encoded["counts"].decode()
        assert answer["area"] == mask.sum()
        assert (answer["bounds"] or [0, 0, 0, 0]) == rle.box([encoded])[0].tolist()


def test_overlaps(answers: dict[str, Any], masks: list[NDArray[np.bool_]]) -> None:
    pairs = _pairs(masks)
    assert len(answers["pairs"]) == len(pairs)
    for (a, b), answer in zip(pairs, answers["pairs"], strict=True):
        assert answer == rle.iou_matrix([rle.encode_mask(a)], [rle.encode_mask(b)])[0, 0]


def test_outlines_enclose_exactly_the_mask(answers: dict[str, Any], masks: list[NDArray[np.bool_]]) -> None:
    for mask, answer in zip(masks, answers["masks"], strict=True):
        assert (_fill(answer["rings"], (mask.shape[0], mask.shape[1])) == mask).all()


def test_coordinates_agree_to_the_last_bit(answers: dict[str, Any], frames: list[FrameCase]) -> None:
    for case, answer in zip(frames, answers["frames"], strict=True):
        assert answer["input"] == [case.frame.input_height, case.frame.input_width]
        assert answer["toModel"] == case.frame.to_model(case.points).tolist()
        assert answer["fromModel"] == case.frame.from_model(case.points).tolist()


def test_mask_prompts_agree_to_the_last_bit(answers: dict[str, Any], frames: list[FrameCase]) -> None:
    for case, answer in zip(frames, answers["frames"], strict=True):
        prompt = np.frombuffer(base64.b64decode(answer["prompt"]), dtype=np.float32)
        assert (prompt == case.frame.mask_to_logits(case.mask, case.logits.shape[0]).ravel()).all()


def test_masks_of_logits_agree_but_where_a_logit_is_the_threshold(
    answers: dict[str, Any], frames: list[FrameCase]
) -> None:
    for case, answer in zip(frames, answers["frames"], strict=True):
        height, width = case.frame.height, case.frame.width
        drawn = rle.decode({"size": [height, width], "counts": answer["counts"].encode()})
        restored = case.frame.restore_logits(torch.from_numpy(case.logits)[None, None])[0, 0].numpy()
        undecided = np.abs(restored - case.threshold) < 1e-5
        assert ((drawn == (restored > case.threshold)) | undecided).all()
        window = WindowRestorer(case.frame, case.logits.shape[0], case.threshold, 0.0).restore(
            torch.from_numpy(case.logits)
        )
        python = rle.decode(rle.encode_part(window.mask, window.corner, (height, width)))
        assert (drawn != python).sum() <= undecided.sum()
        assert answer["windowed"] == answer["counts"]


def test_smooth_outlines_are_those_of_the_mask_but_for_its_curves_inside_a_cell(
    answers: dict[str, Any], frames: list[FrameCase]
) -> None:
    """Between four samples of the grid the outline is straight, and the mask's border is a hyperbola."""
    compared = 0
    for case, answer in zip(frames, answers["frames"], strict=True):
        if not case.is_smooth:
            continue
        shape = (case.frame.height, case.frame.width)
        smooth = _fill(answer["rings"], shape)
        exact = rle.decode({"size": list(shape), "counts": answer["counts"].encode()})
        cell = case.frame.side / case.logits.shape[0] / case.frame.scale
        kernel = np.ones((2 * int(cell + 1) + 1,) * 2, dtype=np.uint8)
        grown, shrunk = (
            operation(exact.view(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
            for operation in (cv2.dilate, cv2.erode)
        )
        # A lone sample barely above the threshold is an island of the outline, which no pixel's centre may hit.
        assert (smooth & ~grown).sum() <= 10
        assert (shrunk & ~smooth).sum() <= 10
        assert (smooth ^ exact).mean() < 0.003
        compared += 1
    assert compared > 20
