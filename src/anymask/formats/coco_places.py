"""Where COCO's files and the pictures that belong to them usually are."""

from __future__ import annotations

from pathlib import Path


def coco_files(folder: Path) -> list[Path]:
    """List the COCO instances files that a folder holds under their usual names."""
    usual = folder / "annotations.json"
    if usual.is_file():
        return [usual]
    places = [place for place in (folder, folder / "annotations") if place.is_dir()]
    found = {path for place in places for pattern in ("instances*.json", "*coco*.json") for path in place.glob(pattern)}
    return sorted(found)


def images_beside(annotations: Path, folder: Path) -> Path | None:
    """Find the image folder of COCO's own layout: ``annotations/instances_NAME.json`` and ``NAME/``."""
    name = annotations.stem.removeprefix("instances_")
    candidates = (folder / name, folder / "images" / name, folder / "images")
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def picture_folders(annotations: Path, pictures: Path | None) -> list[Path]:
    """List the folders in which the pictures of a COCO file may be, the likeliest first.

    Args:
        annotations: the JSON file.
        pictures: a folder that the user named.
    """
    beside = annotations.parent
    roots = [beside, beside.parent] if beside.name == "annotations" else [beside]
    name = annotations.stem.removeprefix("instances_")
    candidates = [] if pictures is None else [pictures]
    for root in roots:
        candidates += [root / "images", root, root / name, root / "images" / name]
    return [candidate for candidate in dict.fromkeys(candidates) if candidate.is_dir()]
