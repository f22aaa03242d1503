"""Where on the map a picture lies: its affine transform and its coordinate reference system."""

from __future__ import annotations

import re
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import FormatError
from anymask.segment.errors import MissingPackageError

WGS84 = "EPSG:4326"
"""Longitude and latitude: what GeoJSON's coordinates are unless a file says otherwise."""


@dataclass(frozen=True)
class Georeference:
    """A picture's place on the map.

    Attributes:
        transform: (a, b, c, d, e, f): the pixel corner (x, y) lies at (a x + b y + c, d x + e y + f) on the map.
        crs: the coordinate reference system, such as "EPSG:32633", else as WKT; None where the picture does not say.
    """

    transform: tuple[float, float, float, float, float, float]
    crs: str | None

    @property
    def mirrors(self) -> bool:
        """Whether what runs clockwise in pixels (y down) runs counter-clockwise in the same numbers on the map."""
        a, b, _, d, e, _ = self.transform
        return a * e - b * d < 0

    def to_map(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Take pixel corners [K, 2] to the map, [K, 2]."""
        a, b, c, d, e, f = self.transform
        x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    def to_pixels(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Take places on the map [K, 2] to pixel corners, [K, 2]."""
        a, b, c, d, e, f = self.transform
        x, y = points[:, 0].astype(np.float64) - c, points[:, 1].astype(np.float64) - f
        determinant = a * e - b * d
        return np.stack([(e * x - b * y) / determinant, (a * y - d * x) / determinant], axis=1)


def as_georeference(transform: Any, crs: Any) -> Georeference:
    """Check a transform and a reference system from a file.

    Raises:
        FormatError: they are no six numbers that can be inverted, or no text.
    """
    try:
        a, b, c, d, e, f = (float(value) for value in transform)
    except (TypeError, ValueError):
        raise FormatError(f"an affine transform is six numbers (a, b, c, d, e, f), got {transform!r}") from None
    if not np.isfinite([a, b, c, d, e, f]).all() or a * e - b * d == 0:
        raise FormatError(f"the affine transform {transform!r} cannot be inverted")
    if crs is not None and not isinstance(crs, str):
        raise FormatError(f'a coordinate reference system is a text such as "{WGS84}", got {crs!r}')
    return Georeference((a, b, c, d, e, f), crs)


def read_georeference(picture: Path | bytes, name: str) -> tuple[Georeference, tuple[int, int]]:
    """Read where a picture lies, and its (height, width), without its pixels.

    A world file beside the picture counts as well.

    Args:
        picture: its file, or a file's bytes.
        name: names it in messages.

    Raises:
        FormatError: it cannot be read, or does not say where it lies.
        MissingPackageError: rasterio is not installed.
    """
    rasterio = _rasterio()
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            if isinstance(picture, bytes):
                dataset = stack.enter_context(stack.enter_context(rasterio.MemoryFile(picture)).open())
            else:
                dataset = stack.enter_context(rasterio.open(picture))
        except rasterio.errors.RasterioError as error:
            raise FormatError(f"the picture {name} cannot be read: {' '.join(str(error).split())}") from error
        size = int(dataset.height), int(dataset.width)
        transform, crs = dataset.transform, dataset.crs
        by_control_points = bool(dataset.gcps[0])
    if transform.is_identity:
        hint = (
            "rectify it first, for example with gdalwarp" if by_control_points else "its masks fit geojson, in pixels"
        )
        kind = "is located by control points only" if by_control_points else "has no georeference"
        raise FormatError(f"the picture {name} {kind}: {hint}")
    return as_georeference(list(transform)[:6], None if crs is None else _name_of(crs)), size


def same_system(first: str, second: str) -> bool:
    """Tell whether two names mean the same coordinate reference system.

    Raises:
        FormatError: a name means nothing.
        MissingPackageError: rasterio is needed to tell, and not installed.
    """
    return plain_name(first) == plain_name(second) or _system(first) == _system(second)


def reproject(rings: list[NDArray[np.float64]], source: str, target: str) -> list[NDArray[np.float64] | None]:
    """Take rings of places [K, 2] of one reference system to another; x is easting or longitude, always.

    Returns:
        The rings; None for one that has no place in the other system, which may not cover the whole earth.

    Raises:
        FormatError: a name means nothing.
        MissingPackageError: rasterio is not installed.
    """
    before, after = _system(source), _system(target)
    together = _transformed(np.concatenate(rings), before, after)
    if together is not None:
        return [*np.split(together, np.cumsum([len(ring) for ring in rings])[:-1])]
    return [_transformed(ring, before, after) for ring in rings]


def _transformed(points: NDArray[np.float64], before: Any, after: Any) -> NDArray[np.float64] | None:
    rasterio = _rasterio()
    try:
        x, y = rasterio.warp.transform(before, after, points[:, 0].tolist(), points[:, 1].tolist())
    except (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError):
        return None
    moved = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)], axis=1)
    return moved if np.isfinite(moved).all() else None


def plain_name(crs: str) -> str:
    """Write "urn:ogc:def:crs:EPSG::32633" and its like as "EPSG:32633"; what is of another kind stays as it is."""
    found = re.fullmatch(r"(?:urn:(?:x-)?ogc:def:crs:)?(\w+):(?:[\w.]*:)?(\w+)", crs.strip(), re.IGNORECASE)
    if found is None:
        return crs.strip()
    plain = f"{found[1]}:{found[2]}".upper()
    return WGS84 if plain == "OGC:CRS84" else plain


def urn(crs: str) -> str:
    """Name a reference system as GeoJSON's ``crs`` member does."""
    authority, _, code = crs.partition(":")
    return f"urn:ogc:def:crs:{authority}::{code}" if re.fullmatch(r"\w+:\w+", crs) else crs


def _name_of(crs: Any) -> str:
    # Only a certain match: a system that is nearly another one puts masks beside their pictures.
    authority = crs.to_authority(confidence_threshold=100)
    return str(crs.to_wkt()) if authority is None else plain_name(":".join(authority))


def _system(name: str) -> Any:
    rasterio = _rasterio()
    try:
        return rasterio.crs.CRS.from_user_input(plain_name(name))
    except rasterio.errors.CRSError as error:
        raise FormatError(
            f'{name!r} is no coordinate reference system that is known here; use one such as "{WGS84}"'
        ) from error


def _rasterio() -> Any:
    try:
        import rasterio
        import rasterio._err
        import rasterio.warp
    except ImportError as error:
        raise MissingPackageError(
            'map coordinates need the package rasterio; install it with `pip install "anymask[geo]"`'
        ) from error
    return rasterio
