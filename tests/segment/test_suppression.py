import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anymask.segment.suppression import suppress
from segment.everything_by_hand import naive_suppression

edges = st.integers(0, 12)
boxes = st.lists(st.tuples(edges, edges, st.integers(0, 9), st.integers(0, 9), st.integers(0, 4)), max_size=30)


@settings(max_examples=300, deadline=None)
@given(boxes, st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_the_naive_choice_in_the_same_order(given_boxes, threshold):
    corners = [(x, y, x + width, y + height) for x, y, width, height, _ in given_boxes]
    scores = [score for *_, score in given_boxes]
    assert suppress(corners, scores, threshold).tolist() == naive_suppression(corners, scores, threshold)


def test_nothing_to_choose_from():
    assert suppress([], [], 0.5).tolist() == []


def test_equality_with_the_threshold_is_no_duplicate():
    # Seven tenths in float32 are a little less than in float64.
    assert suppress([(0, 0, 10, 1), (0, 0, 7, 1)], [1, 0], 0.7).tolist() == [0, 1]
    assert suppress([(0, 0, 10, 1), (0, 0, 8, 1)], [1, 0], 0.7).tolist() == [0]


def test_boxes_without_area_are_never_duplicates():
    assert suppress(np.zeros((3, 4)), [0, 2, 1], 0.1).tolist() == [1, 2, 0]
