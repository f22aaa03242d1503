"""Pictures are listed as people count."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymask.engine.picture_order import order_key

words = st.text("abcxyz-. é", max_size=4)
numbers = st.integers(0, 10**12)
segments = st.text("abc019. -", min_size=1, max_size=5)


@pytest.mark.parametrize(
    "names",
    [
        ["img1.jpg", "img2.jpg", "img10.jpg", "img100.jpg"],
        ["a.jpg", "a1.jpg", "ab.jpg"],
        ["IMG_2.jpg", "img_3.jpg", "IMG_10.jpg"],
        ["1.jpg", "2.jpg", "10.jpg", "a.jpg"],
        ["2024-1-9.png", "2024-1-10.png", "2024-12-1.png"],
        ["day/1.jpg", "day/2.jpg", "day 2/1.jpg", "day2/1.jpg", "day10/1.jpg"],
        ["scan007.tif", "scan7.tif", "scan8.tif"],
        ["É1.jpg", "é2.jpg"],
    ],
)
def test_names_in_their_natural_order(names):
    shuffled = random.Random(1).sample(names, len(names))
    assert sorted(shuffled, key=order_key) == names


@given(words, st.lists(numbers, min_size=2, max_size=6), words)
def test_numbers_are_ordered_by_value(before, values, after):
    names = [f"{before}n{value}m{after}" for value in values]
    assert sorted(names, key=order_key) == [f"{before}n{value}m{after}" for value in sorted(values)]


@given(st.lists(st.lists(segments, min_size=1, max_size=3).map("/".join), unique=True, max_size=12))
def test_a_folder_stays_together(names):
    ordered = sorted(names, key=order_key)
    for folder in {name.rpartition("/")[0] + "/" for name in names if "/" in name}:
        inside = [name.startswith(folder) for name in ordered]
        first = inside.index(True)
        assert all(inside[first : first + sum(inside)])


@given(st.lists(st.text(max_size=8), unique=True, max_size=12))
def test_different_names_have_different_keys(names):
    assert len({order_key(name) for name in names}) == len(names)


def test_a_number_of_any_length_has_a_key():
    assert order_key("9" * 5000) != order_key("9" * 5001)
