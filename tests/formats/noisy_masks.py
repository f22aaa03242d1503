"""Random masks for property tests: holes, parts, borders, single pixels, everything and nothing all come about."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray


@st.composite
def noisy_masks(draw: st.DrawFn, most: int = 3) -> NDArray[np.bool_]:
    """Up to ``most`` masks [N, H, W] of one image; small images make coincidences likely."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    shape = draw(st.integers(0, most)), height, width
    scale = draw(st.sampled_from([1, 1, 3]))
    found: NDArray[np.bool_] = draw(arrays.arrays(np.bool_, shape)).repeat(scale, axis=1).repeat(scale, axis=2)
    return found


@st.composite
def label_maps(draw: st.DrawFn) -> NDArray[np.int64]:
    """An image's pixels [H, W] shared out among up to five masks, 0 for none."""
    shape = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 5)))


def apart(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The masks [N, H, W] of a label map by rising number, none empty."""
    values = np.unique(numbers[numbers != 0])
    return numbers[None] == values[:, None, None]
