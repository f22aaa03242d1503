"""Means with intervals that respect that the masks of one image are not independent.

The interval is the percentile bootstrap (Efron and Tibshirani 1993, chapter 13) over clusters: whole images
are drawn with replacement, each with all its masks, and the mean over all drawn masks is taken. Drawing masks
one by one would make the interval too narrow wherever the masks of one image are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
RESAMPLES = 2000
_NUMBERS_AT_A_TIME = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: over all values, each weighing the same; NaN without values.
        low: lower end of the interval; NaN with fewer than two clusters, which say nothing about the spread.
        high: upper end, likewise.
    """

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return mean, low and high for JSON, with None where a number is undefined."""
        return {"mean": finite(self.mean), "low": finite(self.low), "high": finite(self.high)}


def finite(value: float) -> float | None:
    """Return the number, or None for NaN and infinity, which JSON does not have."""
    return float(value) if np.isfinite(value) else None


def mean_interval(
    values: ArrayLike,
    clusters: Sequence[str] | NDArray[np.generic],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Average values and say how sure the average is.

    Args:
        values: ``[N]`` finite numbers, one a mask.
        clusters: ``[N]``: the image of each.
        confidence: the interval's share, between 0 and 1.
        resamples: how many times the images are drawn.
        seed: of the drawing; the same input and seed give the same interval.

    Raises:
        ValueError: values and clusters are not of one length, or a value is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    names = np.asarray(clusters)
    if numbers.ndim != 1 or numbers.shape != names.shape or not np.isfinite(numbers).all():
        raise ValueError(
            f"values must be finite numbers, one a cluster entry; got {list(numbers.shape)} values, "
            f"{int((~np.isfinite(numbers)).sum())} of them not finite, for {list(names.shape)} clusters"
        )
    if not len(numbers):
        return Interval(np.nan, np.nan, np.nan)
    _, cluster = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(cluster, weights=numbers), np.bincount(cluster)
    mean = float(numbers.mean())
    if len(sums) < 2:
        return Interval(mean, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _NUMBERS_AT_A_TIME // len(sums))
    for start in range(0, resamples, rows):
        drawn = generator.integers(len(sums), size=(min(rows, resamples - start), len(sums)))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high))


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[str] | NDArray[np.generic],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Average first − second, mask by mask: far surer than comparing two averages with their intervals.

    Args:
        first: ``[N]`` finite numbers, one a mask.
        second: ``[N]``, of the same masks in the same order.
        clusters: ``[N]``: the image of each.
        confidence: the interval's share, between 0 and 1.
        resamples: how many times the images are drawn.
        seed: of the drawing.

    Raises:
        ValueError: the three are not of one length, or a value is not finite.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"a paired difference needs pairs; got {list(one.shape)} and {list(other.shape)} values")
    return mean_interval(one - other, clusters, confidence=confidence, resamples=resamples, seed=seed)


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Return Spearman's rank correlation, between −1 and 1; equal values share the mean of their ranks.

    Args:
        first: ``[N]`` numbers.
        second: ``[N]`` numbers, paired with the first.

    Returns:
        The correlation; NaN for fewer than two pairs or where one side is constant.
    """
    ranks = []
    for values in (first, second):
        _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
        if len(counts) < 2:
            return float("nan")
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[inverse])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
