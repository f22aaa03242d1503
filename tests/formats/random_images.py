"""Images with masks of every kind, for property tests."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from anymask.formats.annotated import AnnotatedImage
from anymask.segment.masks import Masks

FINITE = st.floats(-1e6, 1e6, width=32)
LABELS = st.one_of(st.none(), st.sampled_from(["cup", "object", "unlabelled object", ""]), st.text(max_size=6))


@st.composite
def random_masks(draw: st.DrawFn, numbers: st.SearchStrategy[float] = FINITE) -> Masks:
    """No mask to four of a small image, with any of the columns; empty, full, one pixel, noise, rings, borders."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    arrays = np.array([_one_mask(draw, height, width) for _ in range(draw(st.integers(0, 4)))])
    count = len(arrays)
    columns: dict[str, Any] = {}
    for name, length in (("scores", 0), ("stability", 0), ("points", 2), ("crops", 4)):
        if count and draw(st.booleans()):
            values = draw(st.lists(numbers, min_size=count * max(1, length), max_size=count * max(1, length)))
            columns[name] = np.array(values, dtype=np.float32).reshape((count, length) if length else (count,))
    if "crops" in columns:
        columns["crops"] = np.round(columns["crops"])
    if count and draw(st.booleans()):
        labels = draw(st.lists(LABELS, min_size=count, max_size=count))
        columns["labels"] = labels if any(label is not None for label in labels) else None
    return Masks.from_arrays(arrays, **columns) if count else Masks.empty((height, width))


@st.composite
def random_images(draw: st.DrawFn, numbers: st.SearchStrategy[float] = FINITE) -> list[AnnotatedImage]:
    """A few images with different names, some in folders."""
    part = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\:"), min_size=1, max_size=5)
    part = part.filter(lambda text: text.strip(".") != "")
    names = st.builds("{}{}.jpg".format, st.sampled_from(["", "street/", "a/b/"]), part)
    return [
        AnnotatedImage(name, draw(random_masks(numbers))) for name in draw(st.lists(names, max_size=3, unique=True))
    ]


def _one_mask(draw: st.DrawFn, height: int, width: int) -> NDArray[np.bool_]:
    kind = draw(st.sampled_from(["empty", "full", "pixel", "noise", "ring"]))
    mask = np.zeros((height, width), bool)
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
    elif kind == "noise":
        mask = np.random.default_rng(draw(st.integers(0, 9999))).random((height, width)) < draw(st.floats(0.1, 0.9))
    elif kind == "ring":
        mask[:] = True
        mask[1:-1, 1:-1] = False
    return mask
