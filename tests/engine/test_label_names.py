"""Labels that look the same are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymask.engine.label_names import clean_label


@pytest.mark.parametrize(
    ("given_label", "kept"),
    [
        ("car", "car"),
        ("  traffic \t light\n", "traffic light"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "café"),
        ("a\0b", "a b"),
        ("\N{NO-BREAK SPACE}car", "car"),
        ("\N{MAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}", "\N{MAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"),
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
        (" \n", None),
        ("", None),
        (None, None),
    ],
)
def test_space_control_characters_and_accents(given_label, kept):
    assert clean_label(given_label) == kept


@given(st.text())
def test_cleaning_twice_changes_nothing_more(label):
    once = clean_label(label)
    assert clean_label(once) == once
