"""Objects as what every format writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anymask.engine.annotation import ObjectState
from anymask.engine.errors import DamagedDatabaseError
from anymask.engine.pictures import Picture
from anymask.formats.annotated import AnnotatedImage
from anymask.segment.errors import MaskError
from anymask.segment.masks import Masks


def annotated_image(folder: Path, picture: Picture, objects: Sequence[ObjectState]) -> AnnotatedImage | None:
    """Return a picture with objects in their order, as masks with labels, and with scores if all have one.

    Returns:
        None if the picture's size is not known.

    Raises:
        DamagedDatabaseError: run lengths are not those of a mask of this size.
    """
    if picture.size is None:
        return None
    scores = [one.score for one in objects if one.score is not None]
    try:
        # They were checked when they were stored; but a database may come from anywhere.
        masks = Masks.from_rles(
            [{"size": list(picture.size), "counts": one.counts} for one in objects],
            picture.size,
            scores=scores if objects and len(scores) == len(objects) else None,
            labels=[one.label for one in objects] if any(one.label is not None for one in objects) else None,
        )
    except MaskError as error:
        raise DamagedDatabaseError(f"the project's database is damaged: {picture.name}: {error}") from error
    # A file that is gone, or of another size than the masks, is not the picture on which they were made.
    return AnnotatedImage(picture.name, masks, folder / picture.name if picture.error is None else None)
