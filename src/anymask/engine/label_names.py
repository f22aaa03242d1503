"""How labels are written: one form for what looks the same."""

from __future__ import annotations

import unicodedata

LABEL_LENGTH = 200
"""The most characters that a label may have."""


def clean_label(label: str | None) -> str | None:
    """Take away space around a label, make all space within single, and compose accents; None if nothing is left.

    Control characters count as space.
    """
    if label is None:
        return None
    composed = unicodedata.normalize("NFC", label)
    plain = "".join(" " if unicodedata.category(character) == "Cc" else character for character in composed)
    return " ".join(plain.split()) or None
