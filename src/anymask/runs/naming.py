"""Names of images that come from several places."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import PurePosixPath

from anymask.formats.annotated import FormatError
from anymask.formats.format import unique_key


def unique_names(names: Sequence[str], roots: Sequence[int], folders: Sequence[tuple[str, ...]]) -> list[str]:
    """Make names differ.

    Where the names below two folders meet, all names below these get the folder's own name in front, and as much of its
    path as tells the two apart. What still meets is numbered, in the order given.

    Args:
        names: relative to the folders.
        roots: for each name the index of its folder.
        folders: the names of the folders and of those above them, outermost first; no two are the same.
    """
    meeting = _roots_that_meet(names, roots)
    if meeting:
        prefixes = _prefixes({root: folders[root] for root in sorted(meeting)})
        names = [prefixes.get(root, "") + name for name, root in zip(names, roots, strict=True)]
    taken = set(names)
    if len(taken) == len(names):
        return list(names)
    once: set[str] = set()
    result = []
    for name in names:
        unique = name
        if name in once:
            unique = _numbered(name, taken)
            taken.add(unique)
        once.add(unique)
        result.append(unique)
    return result


def unique_keys(names: Sequence[str], taken: Set[str] = frozenset()) -> list[str]:
    """Give what begins the names of each image's files: see :func:`anymask.formats.format.unique_key`.

    Args:
        names: the images' names.
        taken: keys that other images have.
    """
    taken = set(taken)
    keys = []
    for name in names:
        try:
            key = unique_key(name, taken)
        except FormatError:
            # Such as x.png, x.jpg.png and x.jpg in this order.
            key = _numbered(name, taken)
        taken.add(key)
        keys.append(key)
    return keys


def _roots_that_meet(names: Sequence[str], roots: Sequence[int]) -> set[int]:
    if len(set(roots)) < 2:
        return set()
    owners: dict[str, int] = {}
    meeting: set[int] = set()
    for name, root in zip(names, roots, strict=True):
        owner = owners.setdefault(name, root)
        if owner != root:
            meeting.update((owner, root))
    return meeting


def _prefixes(folders: dict[int, tuple[str, ...]]) -> dict[int, str]:
    depths = dict.fromkeys(folders, 1)
    while True:
        tails: dict[tuple[str, ...], list[int]] = {}
        for root, folder in folders.items():
            tails.setdefault(folder[-depths[root] :], []).append(root)
        too_short = [
            root
            for together in tails.values()
            if len(together) > 1
            for root in together
            if depths[root] < len(folders[root])
        ]
        if not too_short:
            return {root: "".join(f"{part}/" for part in folders[root][-depths[root] :]) for root in folders}
        for root in too_short:
            depths[root] += 1


def _numbered(name: str, taken: set[str]) -> str:
    path = PurePosixPath(name)
    number = 2
    while (candidate := str(path.with_stem(f"{path.stem}-{number}"))) in taken:
        number += 1
    return candidate
