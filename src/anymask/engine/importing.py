"""Masks from elsewhere become objects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from anymask.draw.palette import PALETTE
from anymask.engine.annotation import Change, ObjectState, Source, Status
from anymask.engine.change_checks import NotStorable, canonical_counts
from anymask.engine.label_names import LABEL_LENGTH, clean_label
from anymask.engine.pictures import Picture
from anymask.errors import AnymaskError
from anymask.formats.annotated import AnnotatedImage

MOST_REASONS = 100
"""Sentences about what was not imported; beyond that, only how many more there are."""


@dataclass
class ImportSummary:
    """What an import did.

    Attributes:
        masks: how many are new here.
        known: how many were here before, deleted ones included.
        other_images: how many images are not in this project.
        reasons: what was left out and why, in sentences.
    """

    masks: int = 0
    known: int = 0
    other_images: int = 0
    reasons: list[str] = field(default_factory=list)
    _more: int = field(default=0, init=False, repr=False)

    def leave_out(self, reason: str) -> None:
        """Note that something was left out."""
        if len(self.reasons) < MOST_REASONS:
            # Names in files may hold halves of characters, which cannot be sent on.
            self.reasons.append(reason.encode(errors="replace").decode())
        else:
            self._more += 1

    def finish(self) -> None:
        """Say how much more was left out than there are sentences."""
        if self._more:
            self.reasons.append(f"and {self._more:,} more")


class PictureNames:
    """Finds a project's picture by the name that a file of masks has for it."""

    def __init__(self, pictures: Iterable[tuple[int, str]]) -> None:
        """Take the ids and names of all pictures."""
        self._by_path: dict[str, int] = {}
        self._by_name: dict[str, list[int]] = {}
        self._by_path_stem: dict[PurePosixPath, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        for picture, name in pictures:
            path = PurePosixPath(name)
            self._by_path[name] = picture
            self._by_name.setdefault(path.name, []).append(picture)
            self._by_path_stem.setdefault(path.parent / path.stem, []).append(picture)
            self._by_stem.setdefault(path.stem, []).append(picture)

    def find(self, name: str) -> int | None:
        """Return the picture of this path, else the only one of this file name; then the same but for the ending.

        Formats that do not know their pictures' endings make one up.
        """
        if name in self._by_path:
            return self._by_path[name]
        path = PurePosixPath(name)
        for found in (
            self._by_name.get(path.name),
            self._by_path_stem.get(path.parent / path.stem),
            self._by_stem.get(path.stem),
        ):
            if found is not None:
                return found[0] if len(found) == 1 else None
        return None


def in_batches(images: Iterable[AnnotatedImage], masks: int, most_images: int) -> Iterator[list[AnnotatedImage]]:
    """Gather images until they have so many masks, or are so many.

    Where reading them fails, those before come first.
    """
    batch: list[AnnotatedImage] = []
    gathered = 0
    try:
        for image in images:
            batch.append(image)
            gathered += len(image.masks)
            if gathered >= masks or len(batch) >= most_images:
                full, batch, gathered = batch, [], 0
                yield full
    except AnymaskError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def new_changes(
    project: UUID,
    picture: Picture,
    image: AnnotatedImage,
    objects: Sequence[ObjectState],
    now: datetime,
    summary: ImportSummary,
) -> list[Change]:
    """Make the changes that bring an image's masks to a picture, without those that it has.

    The same mask with the same label is the same object, however often it is imported.

    Args:
        project: the project's id.
        picture: where the masks go.
        image: the masks.
        objects: all objects that the picture has.
        now: the time.
        summary: where those that are known, or that cannot be taken, are noted.
    """
    if picture.size is None:
        summary.leave_out(f"{image.name}: {picture.error}")
        return []
    if image.masks.size != picture.size:
        height, width = image.masks.size
        summary.leave_out(
            f"{image.name}: its masks are for {width} x {height} pixels, "
            f"the picture has {picture.width} x {picture.height}"
        )
        return []
    present = [one for one in objects if one.status is Status.PRESENT]
    taken = {one.id for one in objects}
    looks = {(one.counts, one.label) for one in present}
    colors = Counter(one.color for one in present)
    order = max((one.order for one in objects), default=0.0)
    changes: list[Change] = []
    for number, counts in enumerate(_counts(image, summary)):
        if counts is None:
            continue
        label = clean_label(image.masks.labels[number]) if image.masks.labels is not None else None
        if label is not None and len(label) > LABEL_LENGTH:
            label = label[:LABEL_LENGTH].rstrip()
            summary.leave_out(f"{image.name}: a label of more than {LABEL_LENGTH} characters was cut to {label!r}")
        identity = uuid5(project, f"{picture.id}\n{label or ''}\n{counts}")
        if identity in taken or (counts, label) in looks:
            summary.known += 1
            continue
        taken.add(identity)
        color = min(range(len(PALETTE)), key=lambda one: (colors[one], one))
        colors[color] += 1
        order = math.floor(order) + 1.0
        state = ObjectState(
            id=identity,
            version=1,
            status=Status.PRESENT,
            counts=counts,
            prompts=None,
            label=label,
            color=color,
            visible=True,
            order=order,
            score=_score(image, number),
            source=Source.IMPORTED,
            finished=True,
            model=None,
        )
        changes.append(Change(id=uuid5(identity, "import"), at=now, action="import", state=state))
    return changes


def _counts(image: AnnotatedImage, summary: ImportSummary) -> Iterator[str | None]:
    """Give the run lengths of each mask, or None where it cannot become an object."""
    empty = 0
    for one, area in zip(image.masks.rles, image.masks.areas, strict=True):
        if area == 0:
            empty += 1
            yield None
            continue
        try:
            yield canonical_counts(one["counts"].decode("ascii", errors="replace"), image.masks.size)
        except NotStorable as reason:
            summary.leave_out(f"{image.name}: {reason}")
            yield None
    if empty:
        masks = "1 mask without a pixel was" if empty == 1 else f"{empty:,} masks without a pixel were"
        summary.leave_out(f"{image.name}: {masks} left out")


def _score(image: AnnotatedImage, number: int) -> float | None:
    if image.masks.scores is None:
        return None
    score = float(image.masks.scores[number])
    return score if math.isfinite(score) else None
