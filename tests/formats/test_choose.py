"""Some images of many."""

from collections import Counter
from itertools import count

import pytest

from anymask.formats.choose import choose_images


def test_the_first_ones_need_no_more_reading() -> None:
    assert choose_images(count(), 3) == [0, 1, 2]
    assert choose_images(range(2), 3) == [0, 1]
    assert choose_images(iter(()), 3) == []


def test_a_sample_is_in_order_and_repeats_itself() -> None:
    sample = choose_images(iter(range(1000)), 10, seed=4)
    assert sample == sorted(set(sample))
    assert len(sample) == 10
    assert sample == choose_images(range(1000), 10, seed=4)
    assert sample != choose_images(range(1000), 10, seed=5)
    assert choose_images(range(7), 10, seed=1) == list(range(7))


@pytest.mark.parametrize("size", [1, 3])
def test_every_image_is_as_likely(size: int) -> None:
    found = Counter(place for seed in range(3000) for place in choose_images(range(8), size, seed))
    expected = 3000 * size / 8
    assert all(abs(found[place] - expected) < 5 * expected**0.5 for place in range(8))
