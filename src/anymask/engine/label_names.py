"""How labels are written: one form for what looks the same."""

from __future__ import annotations

import unicodedata

LABEL_LENGTH = 200
"""The most characters that a label may have."""

_REPLACED = {"Cc": " ", "Cs": "\N{REPLACEMENT CHARACTER}"}


def clean_label(label: str | None) -> str | None:
    """Take away space around a label, make all space within single, and compose accents; None if nothing is left.

    Control characters count as space; halves of characters, which no file can hold, become a question mark.
    """
    if label is None:
        return None
    composed = unicodedata.normalize("NFC", label)
    plain = "".join(_REPLACED.get(unicodedata.category(character), character) for character in composed)
    return " ".join(plain.split()) or None
