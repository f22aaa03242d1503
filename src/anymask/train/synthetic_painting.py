"""Painting of synthetic scenes: a background, then things with surfaces, shading and shadows.

Labels are written wherever the opacity of a part is at least one half.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from anymask.train.synthetic_patterns import PATTERNS, Float, Rng, log_uniform, value_noise
from anymask.train.synthetic_shapes import (
    Placement,
    Shape,
    compound_shapes,
    ellipse,
    radial_shape,
    rasterize,
    simple_shape,
)


@dataclass(frozen=True)
class Material:
    """How a surface looks: a pattern family, its period in pixels, and colours by pattern value (256 x 3)."""

    pattern: str
    period: float
    colors: Float
    shading: str
    outline: float


@dataclass
class Painter:
    """The canvas of a scene under construction, with the style that its things share."""

    rng: Rng
    canvas: Float
    labels: NDArray[np.int32]
    saturation: float
    hue: float
    light: float
    shadow: float
    softness: float
    parents: list[int] = field(default_factory=lambda: [0])

    def new_part(self, number: int) -> int:
        """Add a part of object ``number`` and return its label."""
        self.parents.append(number)
        return len(self.parents) - 1


def random_color(painter: Painter) -> Float:
    """An RGB colour (0 to 255) in the style of the scene."""
    rng = painter.rng
    near = rng.random() < 0.4
    hue = painter.hue + rng.normal(0, 0.06) if near else rng.random()
    saturation = painter.saturation * rng.uniform(0.2, 1.0)
    wheel = np.clip(np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    value = rng.uniform(12, 250)
    return np.asarray(value * (1 - saturation + saturation * wheel), np.float32)


def new_material(painter: Painter, size: float, near: Float | None = None) -> Material:
    """A random surface for an area of about ``size`` pixels; with ``near``, colours close to that one."""
    rng = painter.rng
    spread = log_uniform(rng, 5, 70)
    first = random_color(painter)
    if near is not None:
        first, spread = near + rng.normal(0, 14), min(spread, 20)
    if rng.random() < 0.2 and near is None:
        stops = np.stack([first, random_color(painter), random_color(painter)])
    else:
        tint = rng.normal(0, 0.3 * painter.saturation, (3, 3))
        stops = first + spread * (np.array([-1.0, 0.0, 1.0])[:, None] + tint)
    at = np.linspace(0, 2, 256)
    colors = np.stack([np.interp(at, [0, 1, 2], stops[:, channel]) for channel in range(3)], axis=1)
    weights = np.array([weight for weight, _ in PATTERNS.values()])
    return Material(
        pattern=str(rng.choice(list(PATTERNS), p=weights / weights.sum())),
        period=log_uniform(rng, 3, max(size / 2, 4)),
        colors=np.clip(colors, 3, 252).astype(np.float32),
        shading=str(rng.choice(["none", "linear", "round", "rim"], p=[0.35, 0.3, 0.25, 0.1])),
        outline=float(rng.uniform(0.3, 0.8)) if rng.random() < 0.12 else 1.0,
    )


def render_material(rng: Rng, material: Material, height: int, width: int) -> Float:
    """The surface without light, height x width x 3, 0 to 255."""
    if material.pattern == "flat":
        return np.broadcast_to(material.colors[rng.integers(256)], (height, width, 3)).astype(np.float32)
    values = PATTERNS[material.pattern][1](rng, height, width, material.period)
    index = np.clip(values * 255, 0, 255).astype(np.uint8)
    return np.asarray(material.colors[index])


def paint_background(painter: Painter) -> None:
    """Fill the canvas: one surface, or sky above a ground seen in perspective."""
    rng, (height, width) = painter.rng, painter.labels.shape
    size = max(height, width)
    surface = render_material(rng, new_material(painter, size), height, width)
    if rng.random() < 0.25:
        horizon = int(height * rng.uniform(0.25, 0.75))
        ground = render_material(rng, new_material(painter, size), height, width)
        spread = rng.uniform(0.5, 2.0) * width
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        left, right, below = -spread, width + spread, height * 1.02
        target = np.array([[0, horizon], [width, horizon], [right, below], [left, below]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        ground = cv2.warpPerspective(ground, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        surface[horizon:] = ground[horizon:]
    if rng.random() < 0.3:
        surface *= (value_noise(rng, height, width, size / 2, 1) * 0.6 + 0.7)[..., None]
    if rng.random() < 0.25:
        blur = max(int(log_uniform(rng, 2, size / 12)), 1)
        surface = cv2.blur(cv2.blur(surface, (blur, blur)), (blur, blur))
    painter.canvas[:] = surface


def shade(painter: Painter, surface: Float, alpha: Float, material: Material) -> None:
    """Light a surface in place: a gradient, a rounded look, a rim, a highlight, a darker outline."""
    rng, (height, width) = painter.rng, alpha.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    toward = np.float32(np.cos(painter.light)) * x + np.float32(np.sin(painter.light)) * y
    light = np.ones_like(alpha)
    if material.shading == "linear":
        light += np.float32(rng.uniform(0.1, 0.45)) * toward
    if material.shading in ("round", "rim") or material.outline < 1:
        depth = cv2.distanceTransform((alpha >= 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        thickness = max(float(depth.max()), 1.0)
        if material.shading == "round":
            bulge = np.sqrt(depth * np.float32(1 / thickness))
            light *= np.float32(0.45) + np.float32(0.6) * bulge + np.float32(0.2) * toward
        elif material.shading == "rim":
            light += np.float32(rng.uniform(-0.4, 0.5)) * np.exp(depth * np.float32(-6 / thickness))
        light[depth < max(1.6, thickness * 0.05)] *= np.float32(material.outline)
    surface *= light[..., None]
    if material.shading == "round" and rng.random() < 0.5:
        reach = (x - np.cos(painter.light) * 0.4) ** 2 + (y - np.sin(painter.light) * 0.4) ** 2
        surface += (np.float32(rng.uniform(40, 160)) * np.exp(-reach * np.float32(rng.uniform(8, 60))))[..., None]


def cast_shadow(painter: Painter, alpha: Float, top: int, left: int, reach: float) -> None:
    """Darken what lies below an opacity, away from the light."""
    height, width = painter.labels.shape
    blur = max(int(reach), 1) | 1
    x, y = (round(-reach * float(wave(painter.light))) for wave in (np.cos, np.sin))
    soft = cv2.copyMakeBorder(alpha, blur, blur, blur, blur, cv2.BORDER_CONSTANT)
    soft = cv2.blur(cv2.blur(soft, (blur, blur)), (blur, blur))
    top, left = top + y - blur, left + x - blur
    rows = slice(max(top, 0), min(top + soft.shape[0], height))
    columns = slice(max(left, 0), min(left + soft.shape[1], width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = soft[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        painter.canvas[rows, columns] *= (1 - np.float32(painter.shadow) * part)[..., None]


def random_region(rng: Rng, height: int, width: int) -> Float:
    """Opacity of a band, a half or a spot within a box."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    if rng.random() < 0.4:
        (across, down), radius = rng.uniform(-0.5, 0.5, 2).astype(np.float32), rng.uniform(0.2, 0.5)
        inside = np.float32(radius) - np.sqrt((x - across) ** 2 + (y - down) ** 2)
    else:
        angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.choice([0.0, np.pi / 2])
        along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        half_width = np.float32(rng.uniform(0.12, 0.5))
        inside = half_width - np.abs(along - np.float32(rng.uniform(-0.6, 0.6)))
    return np.asarray(np.clip(inside * np.float32(max(height, width) / 2) + 0.5, 0, 1))


def random_scribble(rng: Rng, height: int, width: int) -> Float:
    """Opacity of letters or lines within a box: edges which are not borders of a part."""
    board = np.zeros((height, width), np.uint8)
    thick = int(rng.integers(1, 3 + min(height, width) // 40))
    if rng.random() < 0.5:
        text = "".join(rng.choice(list("ABCDEHKMNRSTXYZ0123456789"), 5))
        start = (int(width * rng.uniform(0, 0.4)), int(height * rng.uniform(0.4, 0.9)))
        cv2.putText(board, text, start, 0, min(height, width) / rng.uniform(60, 150), 255, thick, cv2.LINE_AA)
    else:
        points = rng.random((int(rng.integers(2, 9)), 2)) * (width, height)
        cv2.polylines(board, [points.astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    return board.astype(np.float32) * np.float32(1 / 255)


def paint_shape(
    painter: Painter,
    shape: Shape,
    place: Placement,
    material: Material,
    label: int | None,
    shadow: float = 0.0,
    region: Callable[[Rng, int, int], Float] | None = None,
) -> None:
    """Paint one part, or a region of it. ``shadow`` is its shadow's reach in pixels; None labels nothing."""
    height, width = painter.labels.shape
    found = rasterize(shape, place, (height, width))
    if found is None:
        return
    alpha, top, left = found
    height, width = alpha.shape
    if region is not None:
        alpha *= region(painter.rng, height, width)
    if painter.softness:
        alpha = cv2.GaussianBlur(alpha, (5, 5), painter.softness)
    if shadow and painter.shadow:
        cast_shadow(painter, alpha, top, left, shadow)
    surface = render_material(painter.rng, material, height, width)
    shade(painter, surface, alpha, material)
    target = painter.canvas[top : top + height, left : left + width]
    surface -= target
    surface *= alpha[..., None]
    target += surface
    if label is not None:
        painter.labels[top : top + height, left : left + width][alpha >= 0.5] = label


def paint_object(painter: Painter, shapes: list[Shape], place: Placement, size: float) -> None:
    """Paint one object of one or several shapes, perhaps with marked regions and drawings on it."""
    rng, number = painter.rng, max(painter.parents) + 1
    row, column = (
        int(min(max(value, 0), length - 1))
        for value, length in zip(place.centre[::-1], painter.labels.shape, strict=True)
    )
    near = painter.canvas[row, column].copy() if rng.random() < 0.15 else None
    material, label = new_material(painter, size, near), painter.new_part(number)
    # Primitives which look alike are one part: nothing in the picture tells them from each other.
    distinct = len(shapes) > 1 and rng.random() < 0.7
    reach = size * float(rng.uniform(0.02, 0.15))
    for index, shape in enumerate(shapes):
        if distinct and index:
            material, label = new_material(painter, size / 2), painter.new_part(number)
        paint_shape(painter, shape, place, material, label, reach)
    marks = rng.random()
    if marks < 0.25 and size > 24:
        part = painter.new_part(number)
        paint_shape(painter, shapes[-1], place, new_material(painter, size / 2), part, region=random_region)
    elif marks < 0.4:
        paint_shape(painter, shapes[-1], place, new_material(painter, 8), None, region=random_scribble)


def paint_group(painter: Painter, place: Placement, size: float) -> None:
    """Paint a grid of alike things or a cluster of cells; on a wall they are parts of one object."""
    rng = painter.rng
    walled = rng.random() < 0.4
    count = min(max(int(size / 9), 2), int(rng.integers(2, 7)))
    number = max(painter.parents) + 1
    if walled:
        label = painter.new_part(number)
        wall = [ellipse(0, 0, 1.12, 1.12, 200)]
        paint_shape(painter, wall, place, new_material(painter, size), label, size * 0.1)
    cells = not walled and rng.random() < 0.5
    materials = [new_material(painter, size / count) for _ in range(1 if rng.random() < 0.6 else 3)]
    shape, fill = simple_shape(rng), rng.uniform(0.55, 0.85) / count
    for index in range(count * count):
        row, column = divmod(index, count)
        spot = np.array([2 * column + 1, 2 * row + 1]) / count - 1
        if cells:
            spot, shape = spot + rng.normal(0, 0.4 / count, 2), radial_shape(rng)
        child = place.inside(float(spot[0]), float(spot[1]), fill * (rng.uniform(0.6, 1.4) if cells else 1.0))
        label = painter.new_part(number if walled else max(painter.parents) + 1)
        material = materials[int(rng.integers(len(materials)))]
        paint_shape(painter, shape, child, material, label, size / count * 0.1)


def paint_thing(painter: Painter, size: float) -> None:
    """Paint something of about ``size`` pixels at a random place: one object or a group."""
    rng, (height, width) = painter.rng, painter.labels.shape
    size = max(size, 5.0)
    angle = rng.uniform(-0.25, 0.25) if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    stretch = np.array([1.0, log_uniform(rng, 0.45, 1.0)])[:: int(rng.choice([1, -1]))]
    matrix = np.array([[cosine, -sine], [sine, cosine]]) * stretch * (size / 2)
    place = Placement(matrix, rng.uniform(0.02, 0.98, 2) * (width, height))
    draw = rng.random()
    if draw < 0.62 or size < 20:
        paint_object(painter, [simple_shape(rng)], place, size)
    elif draw < 0.86:
        paint_object(painter, compound_shapes(rng), place, size)
    else:
        paint_group(painter, place, size)
