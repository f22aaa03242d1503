"""Masks out of a project and into it, in any format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anymask.engine.store import Store
from anymask.formats.annotated import FormatError, Losses
from anymask.formats.format import Format
from anymask.formats.instances import IMAGE_SUFFIXES, DatasetError
from anymask.formats.read_and_write import format_for_reading, read
from anymask.formats.registry import FORMATS, find_format, format_for_writing
from anymask.studio.archives import extract, pack
from anymask.studio.errors import StudioError
from anymask.studio.messages import FormatChoice, Imported

_REASONS_SHOWN = 50


@dataclass(frozen=True)
class Export:
    """A file to download.

    Attributes:
        path: where it is.
        name: what to call it.
        losses: what the format cannot hold, a sentence each, and pictures that are left out.
    """

    path: Path
    name: str
    losses: list[str]


def format_choices() -> list[FormatChoice]:
    """List the formats to export in."""
    return [FormatChoice(name=one.name, description=one.title, is_folder=one.is_folder) for one in FORMATS.values()]


def export_project(
    store: Store, path: Path, format_name: str | None, *, with_pictures: bool, pictures: Sequence[int] | None = None
) -> list[str]:
    """Write a project's masks to a file or folder.

    Args:
        store: the project.
        path: the file or folder.
        format_name: a name from ``anymask formats``; None where the path's ending says it.
        with_pictures: copy the pictures too.
        pictures: numbers of the pictures; None for all.

    Returns:
        What the format cannot hold, and why pictures are left out, a sentence each.

    Raises:
        FormatError: the format is unknown or not for this path.
        MissingPackageError: a package is needed for the format.
        OSError: a file cannot be written.
    """
    chosen = format_for_writing(path, format_name)
    left_out: list[str] = []
    images = store.annotated_images(
        pictures, failed=lambda picture: left_out.append(f"{picture.name} is left out: {picture.error}")
    )
    losses = Losses()
    path.parent.mkdir(parents=True, exist_ok=True)
    with chosen.open_writer(path, losses, with_pictures) as writer:
        for image in images:
            try:
                writer.write(image)
            except FormatError as error:
                left_out.append(f"{image.name} is left out: {' '.join(str(error).split())}")
    return losses.lines() + _first(left_out)


def export_to_download(
    store: Store, folder: Path, format_name: str, *, with_pictures: bool, pictures: Sequence[int] | None
) -> Export:
    """Write a project's masks as one file into a temporary folder; a format that is a folder as a ZIP file.

    Raises as :func:`export_project` does.
    """
    chosen = find_format(format_name)
    project = re.sub(r"[^\w.-]+", "-", store.folder.name) or "masks"
    stem = f"{project}-{chosen.name}"
    # Pictures go beside a file, where one file is all that the format writes.
    inside = folder / stem if chosen.is_folder else folder / stem / f"{stem}{_ending(chosen)}"
    (folder / stem).mkdir()
    losses = export_project(store, inside, chosen.name, with_pictures=with_pictures, pictures=pictures)
    if not chosen.is_folder and not any(path != inside for path in inside.parent.iterdir()):
        return Export(inside, inside.name, losses)
    archive = folder / f"{stem}.zip"
    pack(folder / stem, archive)
    return Export(archive, archive.name, losses)


def import_file(store: Store, path: Path, format_name: str | None, work: Path) -> Imported:
    """Read masks from a file or folder, or a ZIP file of one, into a project.

    Args:
        store: the project.
        path: what to read.
        format_name: a name from ``anymask formats``; recognised by looking if left out.
        work: an empty folder in which an archive is unpacked.

    Raises:
        AnymaskError: there is nothing that can be read.
    """
    source = path
    if path.is_file() and path.suffix.lower() == ".zip":
        extract(path, work)
        source = _content(work, format_name)
    reasons: list[str] = []
    images = read(source, format_name, pictures=store.folder, failed=lambda error: reasons.append(_line(error)))
    summary = store.import_images(images)
    return Imported(
        masks=summary.masks,
        known=summary.known,
        other_images=summary.other_images,
        reasons=_first([*reasons, *summary.reasons]),
    )


def import_upload(store: Store, path: Path, format_name: str | None, work: Path) -> Imported:
    """Read an uploaded file as :func:`import_file` does, and say nothing of the folders that it lies in meanwhile.

    Raises:
        StudioError: there is nothing that can be read.
        AnymaskError: a package is missing, or the store cannot take it.
    """

    def plainly(text: str) -> str:
        return text.replace(f"{work}/", "").replace(f"{path.parent}/", "").replace(str(work), path.name)

    try:
        done = import_file(store, path, format_name, work)
    except (DatasetError, FormatError, StudioError) as error:
        raise StudioError(plainly(str(error))) from error
    return done.model_copy(update={"reasons": [plainly(reason) for reason in done.reasons]})


def _content(folder: Path, format_name: str | None) -> Path:
    """Find what an archive holds: the folder itself, one that lies alone in it, or the one file that is no picture."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    try:
        wanted = format_for_reading(folder, format_name)
        if wanted.is_folder:
            return folder
    except DatasetError:
        wanted = None
    files = [path for path in _files(folder) if wanted is None or wanted.recognises(path)]
    if len(files) == 1:
        return files[0]
    if wanted is not None:
        raise DatasetError(f"the archive holds {len(files)} files of the format {wanted.name}, not one: give the one")
    return folder


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES)


def _ending(chosen: Format) -> str:
    return chosen.file_suffix or next(iter(chosen.suffixes), "")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _first(reasons: list[str]) -> list[str]:
    more = len(reasons) - _REASONS_SHOWN
    return [*reasons[:_REASONS_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]


def safe_upload_name(name: str) -> str:
    """Keep the last part of a name, for a file in a temporary folder; formats are told by endings."""
    last = PurePosixPath(name.replace("\\", "/")).name.lstrip(".")
    return re.sub(r"[^\w.-]+", "-", last)[-100:] or "upload"
