"""Shapes of the things in synthetic scenes, and their opacity in pixels.

Shapes are lists of :class:`Path` in shape coordinates: x to the right, y down, about [-1, 1] on each axis.
Images are in pixels, with the centre of the top left pixel at (0.5, 0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.train.synthetic_patterns import Float, Rng, log_uniform


@dataclass(frozen=True)
class Path:
    """Closed contours filled by the even-odd rule, or open lines where ``stroke`` > 0 (the full width)."""

    contours: list[Float]
    stroke: float = 0.0


Shape = list[Path]


def ellipse(x: float, y: float, width: float, height: float, power: float = 2.0) -> Path:
    """An ellipse of half sizes ``width`` and ``height``; a higher power makes it a rounded rectangle."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False) + 0.01
    cosine, sine = np.cos(angle), np.sin(angle)
    across, down = (np.sign(wave) * np.abs(wave) ** (2 / power) for wave in (cosine, sine))
    return Path([np.stack([x + width * across, y + height * down], axis=1).astype(np.float32)])


def radial_shape(rng: Rng) -> Shape:
    """A smooth blob, a polygon or a star, around the origin."""
    kind = rng.choice(["blob", "polygon", "star"], p=[0.55, 0.3, 0.15])
    if kind == "blob":
        angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        orders = np.arange(1, int(rng.integers(3, 9)))
        waves = np.cos(np.outer(angle, orders) + rng.uniform(0, 6.3, len(orders)))
        radius = np.exp(waves @ (rng.normal(0, rng.uniform(0.1, 0.5), len(orders)) / orders**0.7))
    else:
        corners = int(rng.integers(3, 9)) * (1 if kind == "polygon" else 2)
        jitter = rng.choice([0.0, 0.35])
        angle = (np.arange(corners) + rng.uniform(-jitter, jitter, corners)) * (2 * np.pi / corners)
        radius = rng.uniform(1 - jitter, 1, corners)
        if kind == "star":
            radius[::2] *= rng.uniform(0.35, 0.75)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    return [Path([(points / np.abs(points).max()).astype(np.float32)])]


def tube_shape(rng: Rng) -> Shape:
    """A thin bent tube or a zigzag."""
    steps = int(rng.choice([4, 40]))
    turn = np.cumsum(rng.normal(0, 1.0 if steps == 4 else 0.06, steps))
    heading = rng.uniform(0, 6.3) + (turn if steps == 4 else np.cumsum(turn) * 0.4)
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    points -= (points.max(axis=0) + points.min(axis=0)) / 2
    points /= np.abs(points).max()
    return [Path([points.astype(np.float32)], stroke=log_uniform(rng, 0.06, 0.4))]


def glyph_shape(rng: Rng) -> Shape:
    """One to three letters."""
    text = "".join(rng.choice(list("ABCDEFGHKMNPRSTUXYZ2345689&@"), int(rng.integers(1, 4))))
    board = np.zeros((128, 80 * len(text) + 40), np.uint8)
    face = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_DUPLEX]))
    cv2.putText(board, text, (20, 104), face, 3.4, 255, int(rng.integers(6, 22)), cv2.LINE_AA)
    outlines, _ = cv2.findContours((board > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    middle = np.array([board.shape[1] / 2, 64])
    return [Path([((line[:, 0] - middle) / middle[0]).astype(np.float32) for line in outlines if len(line) > 2])]


def simple_shape(rng: Rng) -> Shape:
    """Any shape of one piece (letters may be several)."""
    draw = rng.random()
    if draw < 0.2:
        return [ellipse(0, 0, 1, 1)]
    if draw < 0.42:
        return [ellipse(0, 0, 1, 1, float(rng.choice([200, 12, 5])))]
    if draw < 0.76:
        return radial_shape(rng)
    if draw < 0.84:
        outer, inner = (
            radial_shape(rng)[0] if rng.random() < 0.3 else ellipse(0, 0, 1, 1),
            rng.uniform(0.4, 0.85),
        )
        return [Path([outer.contours[0], outer.contours[0] * np.float32(inner)])]
    return tube_shape(rng) if draw < 0.94 else glyph_shape(rng)


def limb(*points: float, stroke: float) -> Path:
    """A bent stick through points given as x, y, x, y and so on."""
    return Path([np.asarray(points, np.float32).reshape(-1, 2)], stroke)


def compound_shapes(rng: Rng) -> list[Shape]:
    """One object of several primitives, back to front: a figure, an animal, a tree, a car, a flower..."""
    first, second, third, fourth = (float(value) for value in rng.uniform(-0.2, 0.2, 4))
    thick = float(rng.uniform(0.1, 0.22))
    kind = int(rng.integers(7))
    if kind == 0:
        legs = [limb(x, 0.2, x + first, 0.6, x + second, 1, stroke=thick) for x in (-0.13, 0.13)]
        arms = [limb(0, -0.4, side * (0.4 + first), third, side * 0.45, fourth, stroke=thick * 0.8) for side in (-1, 1)]
        return [
            legs,
            arms,
            [ellipse(0, -0.1, 0.28 + first / 3, 0.45, 3)],
            [ellipse(second / 3, -0.76, 0.19, 0.23)],
        ]
    if kind == 1:
        legs = [limb(x, 0.1, x + first / 2, 0.8, stroke=thick) for x in (-0.5, -0.3, 0.25, 0.45)]
        tail = limb(0.5, 0, 0.8, first, 1, -0.3 + second, stroke=thick * 0.7)
        return [
            legs,
            [tail],
            [ellipse(0, 0, 0.7, 0.3 + first / 2, 2.5)],
            [ellipse(-0.75, -0.3 + second, 0.25, 0.2)],
        ]
    if kind == 2:
        return [
            [limb(0, 0, first, 1, stroke=thick)],
            [ellipse(second, -0.3, 0.6 + third, 0.65), ellipse(fourth * 2, -0.1, 0.6, 0.4)],
        ]
    if kind == 3:
        wheels = [ellipse(x, 0.42, 0.2 + first / 4, 0.2 + first / 4) for x in (-0.55 + second / 2, 0.55)]
        return [[ellipse(third, -0.2, 0.55, 0.32, 4)], [ellipse(0, 0.15, 1, 0.28, 5)], wheels]
    if kind == 4:
        turns = np.arange(5 + int(first * 10)) * (2 * np.pi / (5 + int(first * 10)))
        petals = [ellipse(0.6 * float(np.cos(turn)), 0.6 * float(np.sin(turn)), 0.34, 0.34) for turn in turns]
        return [petals, [ellipse(0, 0, 0.36 + second / 2, 0.36 + second / 2)]]
    if kind == 5:
        ring = ellipse(0.6, 0, 0.35, 0.4).contours[0]
        handle = Path([ring, (ring - ring.mean(axis=0)) * np.float32(0.6) + ring.mean(axis=0)])
        return [[handle], [ellipse(-0.1, 0, 0.65, 0.75, 6)], [ellipse(-0.1, -0.7, 0.64, 0.12 + thick / 2)]]
    pieces, at = [], rng.normal(0, 0.2, 2)
    for _ in range(int(rng.integers(2, 6))):
        scale, shape = rng.uniform(0.25, 0.6), simple_shape(rng)
        at = np.clip(at + rng.normal(0, 0.35, 2), -0.6, 0.6)
        pieces.append(
            [
                Path([(points * scale + at).astype(np.float32) for points in path.contours], path.stroke)
                for path in shape
            ]
        )
    return pieces


@dataclass(frozen=True)
class Placement:
    """Takes shape coordinates to pixels: ``points @ matrix.T + centre``; ``scale`` is for line widths."""

    matrix: NDArray[np.float64]
    centre: NDArray[np.float64]

    def inside(self, x: float, y: float, size: float) -> "Placement":
        """The placement of a child at (x, y) in shape coordinates, ``size`` times as large."""
        return Placement(self.matrix * size, self.matrix @ np.array([x, y]) + self.centre)


def rasterize(shape: Shape, place: Placement, frame: tuple[int, int]) -> tuple[Float, int, int] | None:
    """Opacity (0 to 1) of a shape in its bounding box, with the box's top and left; None if outside."""
    scale = float(np.sqrt(abs(np.linalg.det(place.matrix))))
    outlines = [[points @ place.matrix.T + place.centre for points in path.contours] for path in shape]
    margins = [max(path.stroke * scale, 1.5 if path.stroke else 0.0) for path in shape]
    pairs = [(line, margin) for lines, margin in zip(outlines, margins, strict=True) for line in lines]
    low = np.min([line.min(axis=0) - margin for line, margin in pairs], axis=0)
    high = np.max([line.max(axis=0) + margin for line, margin in pairs], axis=0)
    left, top = (int(value) for value in np.maximum(np.floor(low) - 1, 0))
    right, bottom = (int(value) for value in np.minimum(np.ceil(high) + 1, (frame[1], frame[0])))
    if right <= left or bottom <= top:
        return None
    zoom = 4 if max(right - left, bottom - top) < 48 else 2
    board = np.zeros(((bottom - top) * zoom, (right - left) * zoom), np.uint8)
    for contours, margin in zip(outlines, margins, strict=True):
        points = [np.rint(((line - (left, top)) * zoom - 0.5) * 16).astype(np.int32) for line in contours]
        if margin:
            cv2.polylines(board, points, False, 255, max(round(margin * zoom), 1), cv2.LINE_8, 4)
        else:
            cv2.fillPoly(board, points, 255, cv2.LINE_8, 4)
    small = cv2.resize(board, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 255), top, left
