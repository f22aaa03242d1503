"""Patterns of the surfaces of synthetic scenes, as arrays of about 0 to 1.

A pattern takes a generator, a height and a width in pixels, and a period in pixels.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[Any]  # of np.float32 where speed matters; cv2 does not say what it returns
Rng = np.random.Generator


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number from ``low`` to ``high``, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low * 1.001)))))


def rotated_axes(rng: Rng, height: int, width: int, period: float) -> tuple[Float, Float]:
    """Two orthogonal coordinates in periods, often aligned with the image."""
    angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else rng.choice([0.0, np.pi / 2])
    cosine, sine = np.cos(angle) / period, np.sin(angle) / period
    x = np.arange(width, dtype=np.float32)[None] + np.float32(rng.uniform(0, period))
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(rng.uniform(0, period))
    return np.float32(cosine) * x + np.float32(sine) * y, np.float32(cosine) * y - np.float32(sine) * x


def value_noise(rng: Rng, height: int, width: int, period: float, octaves: int = 3) -> Float:
    """Smooth noise of ``octaves`` scales, the coarsest with a wavelength of about ``period`` pixels."""
    total = np.full((height, width), 0.5, np.float32)
    weight = 0.55
    for _ in range(octaves):
        rows, columns = int(height / period) + 2, int(width / period) + 2
        grid = rng.random((rows, columns), dtype=np.float32) - np.float32(0.5)
        grid *= np.float32(weight * 1.6)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        period, weight = max(period / 2.3, 1.5), weight * 0.6
    return total


def flat_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """One value everywhere; ``period`` is not used."""
    del period
    return np.full((height, width), rng.random(), np.float32)


def linear_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """A gradient across the whole area; ``period`` is not used."""
    del period
    along, _ = rotated_axes(rng, height, width, float(height + width))
    low, high = float(along.min()), float(along.max())
    return (along - np.float32(low)) * np.float32(1 / max(high - low, 1e-6))


def radial_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """A gradient away from a point, or rings of the given period."""
    x = np.arange(width, dtype=np.float32)[None] - np.float32(rng.uniform(0, width))
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.uniform(0, height))
    distance = np.sqrt(x * x + y * y)
    if rng.random() < 0.25:
        return np.asarray(0.5 + 0.5 * np.sin(distance * np.float32(2 * np.pi / period)))
    return np.asarray(distance * np.float32(1 / max(height, width)))


def stripe_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """Straight or wavy stripes with hard or soft borders."""
    along, _ = rotated_axes(rng, height, width, period)
    if rng.random() < 0.4:
        along = along + value_noise(rng, height, width, period * 4, 2) * np.float32(rng.uniform(0.5, 3))
    wave = np.sin(along * np.float32(2 * np.pi))
    return np.asarray(0.5 + 0.5 * np.clip(wave * np.float32(rng.choice([1.0, 4.0])), -1, 1))


def checker_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """A checkerboard or a plaid."""
    u, v = rotated_axes(rng, height, width, period)
    first, second = np.floor(u) % 2, np.floor(v) % 2
    return np.asarray(np.abs(first - second) if rng.random() < 0.5 else (first + second) * 0.5)


def dot_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """Round dots on a grid."""
    u, v = rotated_axes(rng, height, width, period)
    u, v = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    radius = np.float32(rng.uniform(0.15, 0.42))
    return np.asarray(np.clip((radius - np.sqrt(u * u + v * v)) * np.float32(period) + 0.5, 0, 1))


def tile_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """Tiles or bricks with joints, each with its own tone."""
    u, v = rotated_axes(rng, height, width, max(period, 6.0))
    u = u * np.float32(rng.choice([1.0, 0.5]))
    row = np.floor(v)
    u = u + (row % 2) * np.float32(rng.choice([0.0, 0.5]))
    column = np.floor(u)
    tone = np.sin(row * 12.9898 + column * 78.233) * 43.758
    joint = np.minimum(u - column, v - row) < np.float32(rng.uniform(0.04, 0.15))
    tone = 0.35 + np.float32(rng.uniform(0.05, 0.6)) * (tone - np.floor(tone))
    tone[joint] = 0.0
    return tone


def blotch_pattern(rng: Rng, height: int, width: int, period: float) -> Float:
    """Blotches with fairly sharp borders, like camouflage or fur markings."""
    noise = value_noise(rng, height, width, period * 1.5, 2)
    return (noise - np.float32(rng.uniform(0.35, 0.65))) * np.float32(log_uniform(rng, 2, 14)) + 0.5


Pattern = Callable[[Rng, int, int, float], Float]
PATTERNS: dict[str, tuple[float, Pattern]] = {
    "flat": (0.16, flat_pattern),
    "linear": (0.14, linear_pattern),
    "radial": (0.08, radial_pattern),
    "noise": (0.28, value_noise),
    "stripe": (0.1, stripe_pattern),
    "checker": (0.05, checker_pattern),
    "dot": (0.05, dot_pattern),
    "tile": (0.05, tile_pattern),
    "blotch": (0.09, blotch_pattern),
}
