"""ZIP files from strangers, and ZIP files of folders."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from anymask.studio.errors import StudioError, TooLargeError

MAX_EXTRACTED_BYTES = 8_000_000_000
MAX_EXTRACTED_FILES = 500_000

_PIECE = 1 << 20
_STORED = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".jp2", ".zip", ".parquet")
"""Endings of files that compression makes no smaller."""


def extract(
    archive: Path, folder: Path, *, max_bytes: int = MAX_EXTRACTED_BYTES, max_files: int = MAX_EXTRACTED_FILES
) -> None:
    """Extract a ZIP file into a folder, and never anywhere else.

    Links and what a Mac adds are left out.

    Raises:
        TooLargeError: there is more in it than the limits allow.
        StudioError: it is broken, encrypted, or a name in it leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir() and _is_wanted(entry)]
            if len(entries) > max_files:
                raise TooLargeError(f"the archive holds {len(entries):,} files; at most {max_files:,} are taken")
            left = max_bytes
            for entry in entries:
                if entry.flag_bits & 1:
                    raise StudioError(f"{entry.filename} in the archive is encrypted: pack it without a password")
                target = folder / _safe_name(entry.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, target.open("wb") as written:
                    # Counted while it is read, because what the archive says of itself may be a lie.
                    while piece := source.read(_PIECE):
                        left -= len(piece)
                        if left < 0:
                            raise TooLargeError(f"the archive unpacks to more than {max_bytes / 1e9:g} GB")
                        written.write(piece)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise StudioError(f"the archive is broken or of an unusual kind: {error}") from error
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise StudioError("the archive holds a file and a folder of one name: pack it again") from error


def pack(folder: Path, archive: Path) -> None:
    """Write all files of a folder into a ZIP file, in the order of their names.

    Raises:
        OSError: a file cannot be read or written.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                method = zipfile.ZIP_STORED if path.suffix.lower() in _STORED else zipfile.ZIP_DEFLATED
                entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
                entry.compress_type = method
                with path.open("rb") as source, opened.open(entry, "w", force_zip64=True) as written:
                    shutil.copyfileobj(source, written, _PIECE)


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename).parts
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    return not is_link and bool(parts) and parts[0] != "__MACOSX" and parts[-1] not in (".DS_Store", "Thumbs.db")


def _safe_name(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise StudioError(f"{name!r} in the archive leads out of it: pack it again with plain names")
    return str(path)
