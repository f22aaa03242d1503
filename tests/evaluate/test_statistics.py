import numpy as np
import pytest

from anymask.evaluate import mean_interval, paired_difference, rank_correlation


def test_the_mean_weighs_every_value_the_same():
    interval = mean_interval([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert interval.mean == 0.75
    assert interval.low == 0.0
    assert interval.high == 1.0


def test_it_is_deterministic_and_independent_of_the_order():
    generator = np.random.default_rng(1)
    values, images = generator.random(50), generator.integers(0, 12, 50)
    first = mean_interval(values, images)
    assert mean_interval(values, images) == first
    order = generator.permutation(50)
    again = mean_interval(values[order], images[order])
    assert (again.low, again.high) == pytest.approx((first.low, first.high))
    assert mean_interval(values, images, seed=1) != first


def test_it_covers_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(200):
        images = np.repeat(np.arange(40), 5)
        values = 0.5 + generator.normal(0, 0.2, 40)[images] + generator.normal(0, 0.1, 200)
        interval = mean_interval(values, images, resamples=500, seed=trial)
        covered += interval.low <= 0.5 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_drawing_images_is_wider_than_drawing_masks_where_masks_of_an_image_are_alike():
    generator = np.random.default_rng(3)
    images = np.repeat(np.arange(30), 20)
    values = generator.normal(0, 1, 30)[images]
    by_image, by_mask = mean_interval(values, images), mean_interval(values, np.arange(600))
    assert by_image.high - by_image.low > 3 * (by_mask.high - by_mask.low)


def test_the_interval_agrees_with_theory():
    values = np.random.default_rng(4).normal(0, 1, 400)
    interval = mean_interval(values, np.arange(400))
    half = 1.96 * values.std() / 20
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.08)


def test_pairs_are_surer_than_two_averages():
    generator = np.random.default_rng(5)
    difficulty = generator.random(100)
    first, second = difficulty + 0.02 + generator.normal(0, 0.01, 100), difficulty
    images = np.arange(100)
    difference = paired_difference(first, second, images)
    assert difference.mean == pytest.approx(np.mean(first) - np.mean(second))
    assert difference.low > 0
    assert mean_interval(first, images).low < mean_interval(second, images).high


def test_one_image_says_nothing_about_the_spread():
    interval = mean_interval([0.5, 0.7], ["a", "a"])
    assert interval.mean == pytest.approx(0.6)
    assert interval.to_dict() == {"mean": pytest.approx(0.6), "low": None, "high": None}
    assert mean_interval([], []).to_dict() == {"mean": None, "low": None, "high": None}


def test_many_images_are_drawn_in_parts():
    interval = mean_interval(np.linspace(0, 1, 10_000), np.arange(10_000), resamples=900)
    assert interval.low < 0.5 < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.sqrt(1 / 12) / 100, rel=0.15)


@pytest.mark.parametrize(("values", "images"), [([1.0, 2.0], ["a"]), ([np.nan], ["a"]), ([[1.0]], [["a"]])])
def test_malformed_values_are_refused(values, images):
    with pytest.raises(ValueError, match="finite numbers"):
        mean_interval(values, images)


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([1, 2], [1], ["a", "b"])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 4000], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / np.sqrt(4.5 * 5)),
    ],
)
def test_rank_correlation(first, second, expected):
    assert rank_correlation(first, second) == pytest.approx(expected)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3])])
def test_rank_correlation_is_undefined_without_spread(first, second):
    assert np.isnan(rank_correlation(first, second))
