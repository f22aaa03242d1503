"""Which prompts of a file belong to which images of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from anymask.formats.format import has_picture_suffix
from anymask.runs.errors import PromptFileError
from anymask.runs.items import Item, UnreadableImage
from anymask.runs.naming import unique_keys
from anymask.runs.prompt_files import PromptFile

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Asked:
    """The images of a run that something is asked about.

    Attributes:
        items: images with their prompts, in the order of the run; then what the file names and the input has not, which
            fails when it is read.
        unmatched: the names of the latter.
        without_prompts: how many images of the input were left out because nothing is asked about them.
        file: where the prompts are from.
        left_out: lines about what the file holds besides prompts.
    """

    items: list[Item]
    unmatched: list[str]
    without_prompts: int
    file: Path
    left_out: list[str]

    def notes(self) -> list[str]:
        """Say what did not fit together, for the user."""
        notes = list(self.left_out)
        if self.without_prompts:
            notes.append(f"{_count(self.without_prompts)} of the input left out: {self.file} asks nothing about them")
        if self.unmatched:
            notes.append(f"{_count(len(self.unmatched))} of {self.file} not in the input: {_shown(self.unmatched)}")
        return notes


def attach_prompts(items: Sequence[Item], file: PromptFile) -> Asked:
    """Give each image the prompts that a file has for it.

    An image is found by its whole name; or else by the last part of its name, with or without an ending of pictures, if
    only one has it. Where several have, the one whose path agrees with the name in most folders is meant.

    Args:
        items: all images of a run, before it is split into parts.
        file: the prompts.

    Raises:
        PromptFileError: no image has prompts, or it is unclear which of two is meant.
    """
    found = _match(items, file)
    if not found:
        raise PromptFileError(
            f"{file.path} has prompts for {_shown(file.entries)}, and the input has "
            f"{_shown(item.name for item in items)}: none of these is the same image"
        )
    matched = set(found.values())
    asked = [
        replace(item, prompts_json=file.entries[found[index]]) for index, item in enumerate(items) if index in found
    ]
    unmatched = [name for name in file.entries if name not in matched]
    keys = unique_keys(unmatched, taken={item.key for item in items})
    reason = "there is no image of this name in the input"
    missing = [
        Item(name, key, UnreadableImage(str(file.path), reason), file.entries[name])
        for name, key in zip(unmatched, keys, strict=True)
    ]
    return Asked(asked + missing, unmatched, len(items) - len(asked), file.path, file.left_out_lines())


def _match(items: Sequence[Item], file: PromptFile) -> dict[int, str]:
    """Find the name in the file of each image, by the image's number."""
    found = {index: item.name for index, item in enumerate(items) if item.name in file.entries}
    exact = set(found.values())
    if len(exact) == len(file.entries):
        return found
    by_ending = _ByLastPart(items, found)
    agreements: dict[int, int] = {}
    for name in file.entries:
        if name in exact:
            continue
        index = by_ending.find(name, file.path)
        if index is None:
            continue
        agreement = _folders_in_common(name, items[index])
        if index in found and agreement == agreements[index]:
            raise PromptFileError(
                f"{file.path}: {found[index]!r} and {name!r} may both be {items[index].name!r}: write the whole name"
            )
        if index not in found or agreement > agreements[index]:
            found[index], agreements[index] = name, agreement
    return found


class _ByLastPart:
    """Finds images by the last part of their names."""

    def __init__(self, items: Sequence[Item], leave_out: Iterable[int]) -> None:
        self.items = items
        self.whole: dict[str, list[int]] = {}
        self.bare: dict[str, list[int]] = {}
        found_already = set(leave_out)
        for index, item in enumerate(items):
            if index not in found_already:
                last = item.name.rpartition("/")[2]
                self.whole.setdefault(last, []).append(index)
                bare = _bare(last)
                if bare != last:
                    self.bare.setdefault(bare, []).append(index)

    def find(self, name: str, file: Path) -> int | None:
        """Find the image that a name means, if there is one.

        Raises:
            PromptFileError: there are several.
        """
        last = name.rpartition("/")[2]
        candidates = self.whole.get(last)
        if not candidates:
            # Either name may lack the ending.
            bare = _bare(last)
            candidates = self.bare.get(last) if bare == last else self.whole.get(bare)
        if not candidates:
            return None
        agreements = [_folders_in_common(name, self.items[index]) for index in candidates]
        most = max(agreements)
        best = [index for index, agreement in zip(candidates, agreements, strict=True) if agreement == most]
        if len(best) > 1:
            first, second = (self.items[index].name for index in best[:2])
            raise PromptFileError(f"{file}: {name!r} may be {first!r} or {second!r}: write the whole name")
        return best[0]


def _folders_in_common(name: str, item: Item) -> int:
    """Count the folders, from the last on, in which a name and an image's path agree."""
    place = PurePosixPath(item.name if item.path is None else item.path.as_posix())
    count = 0
    for ours, theirs in zip(reversed(PurePosixPath(name).parts[:-1]), reversed(place.parts[:-1]), strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _bare(name: str) -> str:
    return name.rpartition(".")[0] if has_picture_suffix(name) else name


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
