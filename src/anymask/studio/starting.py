"""The command ``anymask studio``, as a function: what can be wrong is found before anything is begun."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from anymask.formats.instances import IMAGE_SUFFIXES
from anymask.segment.errors import MissingPackageError
from anymask.studio.errors import StudioError

if TYPE_CHECKING:
    from anymask.engine.pictures import PictureSync, UnusableFile
    from anymask.engine.store import Store

_PACKAGES = ("sqlalchemy", "alembic", "pydantic", "fastapi", "uvicorn", "onnx", "onnxruntime", "onnxscript")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LEAST_CACHE = 64_000_000


@dataclass(frozen=True)
class StudioOptions:
    """How the studio is started.

    Attributes:
        model: as for :func:`anymask.load`.
        device: see there.
        precision: see there.
        host: a loopback address.
        port: the port that must be used; None for a suitable one.
        database: the project's file; by default in ``.anymask`` of the folder.
        cache_size: of what can be made again, such as "2GB".
        browser: open one.
    """

    model: str = "pocket"
    device: str = "auto"
    precision: str = "auto"
    host: str = "127.0.0.1"
    port: int | None = None
    database: Path | None = None
    cache_size: str = "2GB"
    browser: bool = True


def run_studio(
    given: Path, options: StudioOptions, import_from: tuple[Path, str | None] | None, say: Callable[[str], object]
) -> None:
    """Serve the pictures of a folder until Ctrl-C.

    Args:
        given: the folder, or a picture in it, which is then opened.
        options: how.
        import_from: a file or folder of masks to take in first, and the name of its format or None.
        say: is told lines for the user.

    Raises:
        AnymaskError: a package, a picture, the model, or a free port is missing, or an option is wrong.
    """
    check_packages()
    from anymask.studio.model import StudioModel
    from anymask.studio.project import ServedProject
    from anymask.studio.server import address, check_host, listen, serve

    host, cache_bytes = check_host(options.host), parse_size(options.cache_size)
    model = StudioModel(options.model, options.device, options.precision)
    model.check()
    folder, first = find_folder(given)
    store, found = open_project(folder, options.database)
    if found.unusable:
        say(unusable_line(found.unusable))
    try:
        if import_from is not None:
            say(import_masks(store, *import_from))
        listening = listen(host, options.port, store.database.with_suffix(".port"))
        project = ServedProject(store, model, cache_bytes=cache_bytes, unusable=found.unusable)
    except BaseException:
        store.close()
        raise
    picture = None if first is None else store.find_picture(first)
    page = address(listening) + ("" if picture is None else f"?picture={picture.id}")
    serve(project, listening, say, page if options.browser else None)


def export_studio(
    given: Path, database: Path | None, target: Path, format_name: str | None, with_pictures: bool
) -> tuple[int, list[str]]:
    """Write the masks of a project to a file or folder.

    Args:
        given: the folder of pictures, or a picture in it.
        database: the project's file; by default in ``.anymask`` of the folder.
        target: the file or folder to write.
        format_name: a name from ``anymask formats``; None where the target's ending says it.
        with_pictures: copy the pictures to where the format expects them.

    Returns:
        How many masks there are, and what the format cannot hold, a sentence each.

    Raises:
        AnymaskError: there is no project, or it cannot be written so.
        OSError: a file cannot be written.
    """
    check_packages()
    from anymask.studio.exchange import export_project

    folder, _ = find_folder(given)
    place = database or folder / ".anymask" / "studio.db"
    if not place.is_file():
        raise StudioError(
            f"nothing has been annotated here: there is no {place}; --project FILE says where else to look"
        )
    store, _ = open_project(folder, database)
    with store:
        losses = export_project(store, target, format_name, with_pictures=with_pictures)
        masks, start = 0, 0
        while page := store.pictures(start, 5000):
            masks, start = masks + sum(one.objects for one in page), start + len(page)
    return masks, losses


def check_choices(
    import_from: Path | None, export_to: Path | None, format_name: str | None, with_pictures: bool
) -> None:
    """Refuse options that do not go together.

    Raises:
        StudioError: they do not.
    """
    if import_from is not None and export_to is not None:
        raise StudioError("--import and --export are two things: import first, and export when all is done")
    if format_name is not None and import_from is None and export_to is None:
        raise StudioError("--format is that of --import or --export: give one of them")
    if with_pictures and export_to is None:
        raise StudioError("--with-pictures belongs to --export")


def check_packages() -> None:
    """Make sure that the studio's packages are installed.

    Raises:
        MissingPackageError: one is not.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(f"the studio needs {', '.join(missing)}: pip install 'anymask[studio]'")


def find_folder(given: Path) -> tuple[Path, str | None]:
    """Tell which folder is meant, and which picture in it, if one was named.

    Raises:
        StudioError: there is neither.
    """
    place = given.expanduser()
    if place.is_dir():
        return place.resolve(), None
    if place.is_file():
        if place.suffix.lower() not in IMAGE_SUFFIXES:
            raise StudioError(
                f"{given} is no folder and no picture ({', '.join(IMAGE_SUFFIXES)}): give a folder of pictures"
            )
        return place.resolve().parent, place.name
    raise StudioError(f"there is no folder {given}: give a folder of pictures, or a picture in it")


def open_project(folder: Path, database: Path | None) -> tuple[Store, PictureSync]:
    """Open a folder's project, with the pictures that are there now, and tell what was found.

    Raises:
        StudioError: there are no pictures.
        StoreError: the database cannot be opened.
    """
    from anymask.engine.store import Store
    from anymask.formats.walk import files_below

    # Looked for first, so that a mistyped folder gets no database.
    has_pictures = next(files_below(folder, IMAGE_SUFFIXES), None) is not None
    if not has_pictures:
        raise StudioError(
            f"there are no pictures in {folder}, nor below it: pictures end in {', '.join(IMAGE_SUFFIXES)}"
        )
    store = Store.open(folder, database)
    try:
        return store, store.sync_pictures()
    except BaseException:
        store.close()
        raise


def unusable_line(unusable: Sequence[UnusableFile]) -> str:
    """Say in a line that files cannot be used, with the first as an example. There must be one."""
    count, first = len(unusable), unusable[0]
    files = "1 file cannot" if count == 1 else f"{count:,} files cannot"
    rest = "" if count == 1 else "; the page lists them all, below the pictures"
    name = "".join(character if character.isprintable() else "?" for character in first.name)
    return f"{files} be used: {name}: {first.reason}{rest}"


def import_masks(store: Store, source: Path, format_name: str | None) -> str:
    """Take masks into a project, and say in a line what was done.

    Raises:
        AnymaskError: the source cannot be read.
    """
    import tempfile

    from anymask.studio.exchange import import_file

    path = source.expanduser()
    if not path.exists():
        raise StudioError(f"there is nothing at {source}: --import takes a file or folder of masks")
    with tempfile.TemporaryDirectory(prefix="anymask-") as work:
        done = import_file(store, path, format_name, Path(work))
    said = f"{done.masks:,} mask{'' if done.masks == 1 else 's'} taken from {source}"
    if done.known:
        said += f", {done.known:,} were here before"
    if done.other_images:
        said += f", {done.other_images:,} image{' is' if done.other_images == 1 else 's are'} not in this folder"
    return "\n".join([said, *done.reasons])


def parse_size(text: str) -> int:
    """Read a number of bytes as people write it, such as 500MB or 2GB.

    Raises:
        StudioError: it is none, or too small.
    """
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text, re.IGNORECASE)
    if matched is None:
        raise StudioError(f"--cache-size {text}: write it like 500MB, 2GB or 1.5TB")
    size = int(float(matched[1]) * _UNITS[matched[2].lower()])
    if size < _LEAST_CACHE:
        raise StudioError(f"--cache-size {text} is too small: at least {_LEAST_CACHE // 10**6}MB, for a few pictures")
    return size
