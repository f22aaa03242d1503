"""Batches: nothing but the seed and the step decides what they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymask.formats.datasets import CocoDataset, DatasetError, InstanceDataset
from anymask.models.sam import PIXEL_MEAN, PIXEL_STD
from anymask.train.batches import Batch, BatchStream, WeightedDataset
from anymask.train.synthetic_dataset import SyntheticDataset
from anymask.train.views import MEAN_COLOUR, Augmentation


def stream(*datasets: WeightedDataset, **changes: Any) -> BatchStream:
    settings: dict[str, Any] = {
        "side": 64,
        "batch_size": 3,
        "max_masks": 4,
        "augmentation": Augmentation(),
        "seed": 5,
        "mean": PIXEL_MEAN,
        "std": PIXEL_STD,
    }
    return BatchStream(datasets, **{**settings, **changes})


@pytest.fixture
def mixed(tiny_coco: Path) -> list[WeightedDataset]:
    return [
        WeightedDataset(CocoDataset(tiny_coco), 2.0, paste=True),
        WeightedDataset(SyntheticDataset(size=48), 1.0),
    ]


def assert_same(first: Batch, second: Batch) -> None:
    assert torch.equal(first.images, second.images)
    for name in ("targets", "boxes"):
        for one, other in zip(getattr(first, name), getattr(second, name), strict=True):
            assert torch.equal(one, other)


def test_a_batch_depends_on_its_step_only(mixed: list[WeightedDataset]) -> None:
    one, other = stream(*mixed), stream(*mixed)
    other.batch(9)
    assert_same(one.batch(4), other.batch(4))
    assert_same(one.batch(4), one.batch(4))
    assert not torch.equal(one.batch(4).images, one.batch(5).images)
    assert not torch.equal(one.batch(4).images, stream(*mixed, seed=6).batch(4).images)


@pytest.mark.parametrize("threads", [1, 3])
def test_iterating_gives_the_batches_in_order(mixed: list[WeightedDataset], threads: int) -> None:
    source = stream(*mixed, threads=threads)
    for step, batch in zip(range(3, 12), source.iterate(3, 12), strict=True):
        assert_same(batch, stream(*mixed).batch(step))
    assert list(source.iterate(4, 4)) == []


def test_shapes_ranges_and_normalisation(mixed: list[WeightedDataset]) -> None:
    batch = stream(*mixed).batch(0)
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.images.dtype == torch.float32
    pixels = batch.images * torch.tensor(PIXEL_STD)[:, None, None] + torch.tensor(PIXEL_MEAN)[:, None, None]
    assert torch.allclose(pixels, pixels.round(), atol=1e-3)
    for targets, boxes in zip(batch.targets, batch.boxes, strict=True):
        assert targets.shape[1:] == (16, 16)
        assert 1 <= len(targets) == len(boxes) <= 4
        assert targets.min() >= 0
        assert 0.5 < targets.max() <= 1
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    # The padding is what the encoder takes for zero, but for rounding to whole colours.
    padding = (torch.tensor(MEAN_COLOUR) - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD)
    assert padding.abs().max() < 0.01


def test_the_weights_are_the_shares() -> None:
    source = stream(WeightedDataset(SyntheticDataset(size=32), 3.0), WeightedDataset(SyntheticDataset(size=32), 1.0))
    np.testing.assert_allclose(source.shares, [0.75, 0.25])


class Recorder:
    """A data set that notes what is asked of it."""

    def __init__(self, inner: InstanceDataset) -> None:
        self.inner, self.asked = inner, 0

    def __len__(self) -> int:
        return len(self.inner)

    def name(self, index: int) -> str:
        return self.inner.name(index)

    def image(self, index: int) -> Any:
        self.asked += 1
        return self.inner.image(index)

    def masks(self, index: int) -> Any:
        return self.inner.masks(index)

    def categories(self, index: int) -> list[str]:
        return self.inner.categories(index)


def test_only_data_sets_that_may_are_pasted_from() -> None:
    quiet = Recorder(SyntheticDataset(size=96))
    drawn = Recorder(SyntheticDataset(size=48, seed=900))
    source = stream(WeightedDataset(drawn, 1.0), WeightedDataset(quiet, 1e-12), augmentation=Augmentation(paste=1.0))
    source.batch(0)
    assert quiet.asked == 0
    source = stream(
        WeightedDataset(drawn, 1.0),
        WeightedDataset(quiet, 1e-12, paste=True),
        augmentation=Augmentation(paste=1.0),
    )
    for step in range(3):
        source.batch(step)
    assert quiet.asked > 0


def test_without_data_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": []}')
    for datasets in ([], [WeightedDataset(CocoDataset(tmp_path), 1.0)]):
        with pytest.raises(DatasetError, match="at least one data set with annotated images"):
            stream(*datasets)


def test_data_without_usable_masks_is_an_error_also_through_threads() -> None:
    source = stream(WeightedDataset(SyntheticDataset(size=32), 1.0), augmentation=Augmentation(min_area=1e9), threads=2)
    with pytest.raises(DatasetError, match="50 views in a row held no usable mask"):
        next(iter(source.iterate(0, 5)))


def test_processes_and_parts_share_a_batch_without_overlap(mixed: list[WeightedDataset]) -> None:
    whole = stream(*mixed, batch_size=5).batch(7)
    assert whole.positions == (0, 1, 2, 3, 4)
    seen = []
    for rank in range(2):
        share = stream(*mixed, batch_size=5, share=(rank, 2), parts=2)
        for number, part in enumerate(share.iterate(7, 8)):
            assert_same(part, share.batch(7, number))
            assert torch.equal(part.images, whole.images[list(part.positions)])
            seen.append(part.positions)
    assert seen == [(0, 4), (2,), (1,), (3,)]


def test_parts_come_step_after_step(mixed: list[WeightedDataset]) -> None:
    source = stream(*mixed, batch_size=4, parts=2, threads=2)
    batches = list(source.iterate(3, 5))
    assert [batch.positions for batch in batches] == [(0, 2), (1, 3)] * 2
    assert torch.equal(batches[2].images, source.batch(4, 0).images)


def test_a_batch_that_is_too_small_to_share_is_an_error(mixed: list[WeightedDataset]) -> None:
    with pytest.raises(DatasetError, match="3 cannot be shared by 4 processes: raise batch_size"):
        stream(*mixed, share=(0, 4))
    with pytest.raises(
        DatasetError, match="3 cannot be shared by 1 process in 4 parts each: raise batch_size or lower"
    ):
        stream(*mixed, parts=4)
    with pytest.raises(DatasetError, match="3 cannot be shared by 2 processes in 2 parts each"):
        stream(*mixed, share=(1, 2), parts=2)
