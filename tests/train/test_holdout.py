"""What is trained on and what is held back."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anymask.formats.datasets import DatasetError, InstanceDataset, Rle, is_validation_name
from anymask.segment import rle
from anymask.train.holdout import split_by_share, split_dataset


class Named:
    """Images of these names; those whose name begins with "empty" have no mask."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return self.names[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        return np.full((4, 4, 3), index, np.uint8)

    def masks(self, index: int) -> list[Rle]:
        return [] if self.names[index].startswith("empty") else [rle.encode_mask(np.eye(4, dtype=bool))]

    def categories(self, index: int) -> list[str]:
        return [""] * len(self.masks(index))


def names(dataset: InstanceDataset) -> list[str]:
    return [dataset.name(index) for index in range(len(dataset))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=2, max_size=40, unique=True), st.floats(0.01, 0.99))
def test_a_share_is_by_name_alone_and_leaves_both_parts(some: list[str], share: float) -> None:
    chosen = split_by_share(some, share)
    assert 1 <= len(chosen) < len(some)
    assert abs(len(chosen) - share * len(some)) <= 1
    turned = split_by_share(some[::-1], share)
    assert {some[index] for index in chosen} == {some[::-1][index] for index in turned}


def test_the_usual_split_is_the_held_out_tenth() -> None:
    given_names = [f"{number}.png" for number in range(60)] + ["empty.png"]
    training, held_out = split_dataset(Named(given_names))
    assert names(held_out) == [name for name in given_names[:60] if is_validation_name(name)]
    assert names(training) == [name for name in given_names[:60] if not is_validation_name(name)]
    fewer, measured = split_dataset(Named(given_names), max_images=5, max_validation=2)
    assert (len(fewer), len(measured)) == (5, 2)
    assert set(names(fewer)) <= set(names(training))


def test_another_set_to_measure_on() -> None:
    training, held_out = split_dataset(Named(["a", "empty", "b"]), validation=Named(["c", "empty"]))
    assert (names(training), names(held_out)) == (["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("some", "options", "message"),
    [
        (["empty1", "empty2"], {}, "has 2 annotated images, but all their masks are empty"),
        (["a", "empty"], {"share": 0.5}, r"has one image with masks \(a\); fine-tuning needs at least two"),
        (["a", "b", "c"], {}, "of the 3 images of the data set, none falls into the held-out tenth"),
        (["a", "b"], {"share": 1.0}, "must be above 0 and below 1, such as 0.2; got 1.0"),
        (["a", "b"], {"share": 0.2, "validation": Named(["c"])}, "either a validation data set or a validation share"),
        (["a", "b"], {"validation": Named(["empty"])}, "holds no image with a mask"),
    ],
)
def test_what_cannot_be_split(some: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        split_dataset(Named(some), **options)  # type: ignore[arg-type]
