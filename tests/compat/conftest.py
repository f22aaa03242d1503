from collections.abc import Iterator

import numpy as np
import pytest
import torch
from skimage import data

from models.parity import make_pair


@pytest.fixture(scope="package", autouse=True)
def _one_thread_for_the_networks() -> Iterator[None]:
    """Networks of this size are slower on two threads, and on a busy machine several times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pair():
    return make_pair(seed=20)


@pytest.fixture(scope="session")
def image():
    """A photograph that is neither square nor of a size that divides the model's."""
    return np.ascontiguousarray(data.astronaut()[:190, 100:401])
