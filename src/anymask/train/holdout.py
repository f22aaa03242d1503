"""Which images of a data set are trained on, and which are kept back to tell whether it helped."""

from __future__ import annotations

import hashlib
from pathlib import Path

from anymask.formats.datasets import (
    DatasetError,
    InstanceDataset,
    SubsetDataset,
    is_validation_name,
    open_dataset,
)


def _spread(indices: list[int], count: int | None) -> list[int]:
    """Keep so many of the indices, evenly spaced."""
    if count is None or count >= len(indices):
        return indices
    return [indices[place * len(indices) // count] for place in range(count)]


def _with_masks(dataset: InstanceDataset) -> list[int]:
    return [index for index in range(len(dataset)) if dataset.masks(index)]


def split_by_share(names: list[str], share: float) -> set[int]:
    """Choose the validation part of a data set: the names whose SHA-256 is smallest.

    The choice depends on the names alone. At least one image is in each part.

    Args:
        names: of the images, at least two.
        share: of the images to hold back, between 0 and 1.

    Returns:
        Positions in ``names``.
    """
    ranked = sorted(range(len(names)), key=lambda index: hashlib.sha256(names[index].encode()).digest())
    count = min(len(names) - 1, max(1, round(share * len(names))))
    return set(ranked[:count])


def split_dataset(
    data: str | Path | InstanceDataset,
    *,
    kind: str = "auto",
    images: str | Path | None = None,
    objects: str = "auto",
    validation: str | Path | InstanceDataset | None = None,
    share: float | None = None,
    max_images: int | None = None,
    max_validation: int | None = None,
) -> tuple[InstanceDataset, InstanceDataset]:
    """Open a data set and keep a part back.

    Args:
        data: a path for :func:`anymask.formats.datasets.open_dataset`, or a data set.
        kind: as there.
        images: as there.
        objects: as there.
        validation: another data set to measure on; then all of ``data`` is trained on.
        share: of ``data`` to hold back, see :func:`split_by_share`; the tenth by CRC-32 where None.
        max_images: images trained on at most, evenly spaced.
        max_validation: images measured on at most, evenly spaced.

    Returns:
        The images to train on and those to measure on, all with masks.

    Raises:
        DatasetError: a data set cannot be read, has no masks, or one of the parts would be empty.
    """
    if share is not None and not 0 < share < 1:
        raise DatasetError(f"the validation share must be above 0 and below 1, such as 0.2; got {share}")
    if share is not None and validation is not None:
        raise DatasetError("give either a validation data set or a validation share, not both")
    dataset = open_dataset(data, kind, images=images, objects=objects) if isinstance(data, str | Path) else data
    source = str(data) if isinstance(data, str | Path) else "the data set"
    usable = _with_masks(dataset)
    if not usable:
        raise DatasetError(f"{source} has {len(dataset)} annotated images, but all their masks are empty")
    if validation is not None:
        other = open_dataset(validation, objects=objects) if isinstance(validation, str | Path) else validation
        held = _with_masks(other)
        if not held:
            raise DatasetError(f"the validation data {validation} holds no image with a mask")
        return SubsetDataset(dataset, _spread(usable, max_images)), SubsetDataset(other, _spread(held, max_validation))
    if len(usable) == 1:
        raise DatasetError(
            f"{source} has one image with masks ({dataset.name(usable[0])}); fine-tuning needs at least two, one of "
            "them to measure on"
        )
    names = [dataset.name(index) for index in usable]
    if share is not None:
        chosen = split_by_share(names, share)
    else:
        chosen = {place for place, name in enumerate(names) if is_validation_name(name)}
        if not chosen or len(chosen) == len(names):
            part = "none" if not chosen else "every one"
            raise DatasetError(
                f"of the {len(names)} images of {source}, {part} falls into the held-out tenth (CRC-32 of the name "
                "divisible by 10); say what to measure on: --validation-share 0.2, or --validation PATH"
            )
    train = [index for place, index in enumerate(usable) if place not in chosen]
    held = [index for place, index in enumerate(usable) if place in chosen]
    return SubsetDataset(dataset, _spread(train, max_images)), SubsetDataset(dataset, _spread(held, max_validation))
