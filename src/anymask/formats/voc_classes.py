"""Pascal VOC's classes: their numbers, names and colours, and pictures of them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.instances import DatasetError

VOID = 255
"""The number of pixels that belong to no class, such as borders."""

_BACKGROUND = ("background", "_background_", "__background__")
_IGNORED = "__ignore__"
_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_LINE = re.compile(r"(.*?)\s*:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*:[^:]*:[^:]*")

Colour = tuple[int, int, int]


def palette() -> list[Colour]:
    """Give VOC's 256 colours: the bits of the number, three by three, from the highest bit of red, green and blue."""
    colours = []
    for number in range(256):
        channels = [0, 0, 0]
        for bit in range(8):
            channels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
        colours.append((channels[0], channels[1], channels[2]))
    return colours


class VocClasses:
    """Names of classes by their numbers; 0 is the background.

    Args:
        names: in the order of their numbers.
        colours: of each in pictures, where they are not VOC's.
    """

    def __init__(self, names: list[str], colours: list[Colour] | None = None) -> None:
        self.names, self.colours = names, colours

    def name(self, number: int) -> str | None:
        """Give a class's name, or None if it has none."""
        return self.names[number] if 0 < number < len(self.names) else None

    def number(self, name: str) -> int:
        """Give the number of a class, which is added if it is new; VOID if there are 254 already."""
        if name in self.names[1:]:
            return self.names.index(name, 1)
        if len(self.names) >= VOID:
            return VOID
        self.names.append(name)
        if self.colours is not None:
            self.colours.append(next(colour for colour in palette()[1:VOID] if colour not in self.colours))
        return len(self.names) - 1

    def labelmap(self) -> str:
        """Give the text of ``labelmap.txt``."""
        lines = ["# label:color_rgb:parts:actions"]
        for name, (red, green, blue) in zip(self.names, self.colours or palette(), strict=False):
            lines.append(f"{name}:{red},{green},{blue}::")
        return "\n".join(lines) + "\n"


def read_classes(root: Path) -> VocClasses:
    """Read the classes of a folder: its ``labelmap.txt``, ``class_names.txt`` or ``labels.txt``, else VOC's.

    Raises:
        DatasetError: the file cannot be read.
    """
    file = next(
        (root / name for name in ("labelmap.txt", "class_names.txt", "labels.txt") if (root / name).is_file()), None
    )
    if file is None:
        return VocClasses(list(_NAMES))
    try:
        lines = [line.strip("\r\n") for line in file.read_text("utf-8-sig").split("\n") if line.strip()]
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not text in UTF-8: {error}") from error
    matches = [_LINE.fullmatch(line) for line in lines]
    coloured = [(match[1], (int(match[2]), int(match[3]), int(match[4]))) for match in matches if match]
    if coloured:
        at = next((place for place, (name, _) in enumerate(coloured) if name.lower() in _BACKGROUND), None)
        first = ("background", (0, 0, 0)) if at is None else coloured.pop(at)
        entries = [first, *coloured]
        return VocClasses([name for name, _ in entries], [colour for _, colour in entries])
    names = [line.strip() for line in lines if line.strip() != _IGNORED and not line.startswith("#")]
    background = [] if names and names[0].lower() in _BACKGROUND else ["background"]
    return VocClasses([*background, *names])


def read_numbers(file: Path, colours: list[Colour] | None = None) -> NDArray[np.int64]:
    """Read the numbers of a picture ``[H, W]``.

    Args:
        file: a palette or grey picture, whose values are the numbers, or a colour picture.
        colours: those that stand for 0, 1 and so on, in palettes too; only in colour pictures, and as VOC has them, if
            None. Other colours of a palette keep their numbers, those of a colour picture are numbered from 1000.

    Raises:
        DatasetError: it is missing or broken.
    """
    try:
        with Image.open(file) as picture:
            is_coloured = picture.mode not in ("P", "L", "1") and not picture.mode.startswith("I")
            if not is_coloured and (colours is None or picture.mode != "P"):
                return np.asarray(picture).astype(np.int64)
            values = np.asarray(picture.convert("RGB") if is_coloured else picture).astype(np.int64)
            entries = np.array(picture.getpalette() or [], dtype=np.int64).reshape(-1, 3)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"cannot read the mask {file}: {' '.join(str(error).split())}") from error
    known = {_packed(np.array(colour)): number for number, colour in enumerate(colours or palette())}
    known.setdefault(_packed(np.array(palette()[VOID])), VOID)
    if is_coloured:
        found, places = np.unique(_packed(values), return_inverse=True)
        numbers = [known.get(colour, 1000 + place) for place, colour in enumerate(found.tolist())]
        return np.array(numbers, dtype=np.int64)[places].reshape(values.shape[:2])
    table = np.arange(256)
    for place, colour in enumerate(_packed(entries).tolist()):
        table[place] = known.get(colour, place)
    return table[values]


def palette_png(numbers: NDArray[np.uint8], colours: list[Colour] | None = None) -> bytes:
    """Make a PNG of numbers ``[H, W]`` with VOC's palette, in which ``colours`` replace the first ones."""
    picture = Image.fromarray(numbers)
    used = [*(colours or []), *palette()[len(colours or []) :]]
    picture.putpalette([channel for colour in used for channel in colour])
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _packed(colours: NDArray[np.int64]) -> Any:
    packed = (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]
    return packed if packed.ndim else int(packed)
