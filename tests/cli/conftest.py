"""What the tests of several commands need."""

import pytest

from anymask.segment.segmenter import Segmenter


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, random_segmenter: Segmenter) -> Segmenter:
    """The random model under any name, because what is asked here is not how weights are found."""
    monkeypatch.setattr("anymask.load", lambda *_given, **_options: random_segmenter)
    return random_segmenter
