"""GeoJSON: polygons with holes, in pixels of the image or on the map."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import (
    AnnotatedImage,
    Feature,
    FormatError,
    FormatWarning,
    Losses,
    picture_name,
    with_finite_columns,
)
from anymask.formats.format import FolderFormat, find_picture
from anymask.formats.geojson_features import FileFeature, is_geojson, parse_features
from anymask.formats.georeference import (
    WGS84,
    Georeference,
    as_georeference,
    plain_name,
    read_georeference,
    reproject,
    same_system,
    urn,
)
from anymask.formats.instances import DatasetError, read_json
from anymask.formats.outlines import extent, rasterise
from anymask.formats.walk import files_below
from anymask.segment.columns import checked_column
from anymask.segment.errors import ImageError, MaskError
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size
from anymask.segment.polygons import Polygon
from anymask.segment.rle import RLE


class GeoJson(FolderFormat):
    """A GeoJSON file per image, in pixels: (x, y) of pixel corners from the top left one, y down.

    Each mask is a feature with a Polygon or MultiPolygon (null for an empty mask) and the properties ``index``,
    ``area`` and, as far as they are known, ``label``, ``score``, ``stability``, ``point`` (x, y) and ``crop``
    (x0, y0, x1, y1). The member ``image`` of the collection has the image's ``name``, ``width`` and ``height``.

    Files without that member, such as QuPath's, take the size from the picture of the same name; their label is
    ``label``, ``class``, ``category``, ``classification`` or ``name``, in any case. A geometry collection is one mask.
    Points and lines are left out, with a warning.
    """

    name = "geojson"
    title = "GeoJSON, a file per image: polygons with holes, in pixels"
    file_suffix = ".geojson"
    carries = frozenset(Feature)

    def recognises(self, path: Path) -> bool:
        """Look for GeoJSON that names no reference system."""
        return _is_on_map(path) is False

    def read_each(self, path: Path, pictures: Path | None = None) -> Iterator[AnnotatedImage | DatasetError]:
        """Read every GeoJSON file below the folder, or the one that is given, in the order of their names."""
        root = path if path.is_dir() else path.parent
        found = False
        for file in files_below(path, (".geojson",)) if path.is_dir() else [path]:
            found = True
            try:
                yield self._read_image(file, root, [root] if pictures is None else [pictures, root])
            except DatasetError as error:
                yield error
            except (FormatError, MaskError) as error:
                yield DatasetError(f"{file}: {error}")
        if not found:
            raise DatasetError(f"{path} holds no .geojson file")

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY.geojson``."""
        collection = {
            "type": "FeatureCollection",
            "image": _described(image),
            "features": _features(image.masks, None, losses),
        }
        yield f"{key}.geojson", _text(collection)

    def _read_image(self, file: Path, root: Path, places: list[Path]) -> AnnotatedImage:
        collection = _Collection.of(file, root)
        if collection.georeference is not None:
            raise DatasetError(f"{file} holds map coordinates: name its format, geojson-map")
        picture = find_picture(collection.name, places)
        if collection.size is None:
            if picture is None:
                raise _no_picture(file, collection.name)
            try:
                collection.size = image_size(picture, max_pixels=None)
            except ImageError as error:
                raise DatasetError(f"cannot read the image {picture}: {error}") from error
        hint = "the format geojson-map reads map coordinates"
        return _image(collection, picture, [feature.polygons for feature in collection.features], hint)


class GeoJsonMap(GeoJson):
    """A GeoJSON file per image, on the map: coordinates of the reference system of the georeferenced picture.

    As :class:`GeoJson`, but polygons lie where the picture's affine transform puts them, outer rings counter-clockwise
    as RFC 7946 wants it. A system other than WGS 84 is named in the older member ``crs``, which GDAL, QGIS and
    geopandas read; where the picture has a transform but no system, ``crs`` is null. The member ``image`` also has
    ``transform`` (a, b, c, d, e, f) and ``crs``, so that reading needs no picture. ``point`` and ``crop`` stay in
    pixels. Masks of a picture without georeference cannot be written.

    Files of other programs take size, transform and system from the picture of the same name. Their coordinates are of
    the system that ``crs`` names, else of WGS 84 if they can be degrees, else of the picture's own; another system than
    the picture's is reprojected. Polygons that lie off the picture are left out, with a warning.
    """

    name = "geojson-map"
    title = "GeoJSON, a file per georeferenced image: polygons with holes, in map coordinates"
    needs_pictures = True

    def recognises(self, path: Path) -> bool:
        """Look for GeoJSON that names its reference system or has an image with a transform."""
        return _is_on_map(path) is True

    def files(self, image: AnnotatedImage, key: str, losses: Losses) -> Iterator[tuple[str, bytes]]:
        """Yield ``KEY.geojson``."""
        if image.picture is None:
            raise FormatError(
                f"geojson-map needs the picture of {image.name}, which says where on the map it lies; geojson, in "
                "pixels, does not"
            )
        place, size = read_georeference(image.picture, image.name)
        if size != image.masks.size:
            raise FormatError(
                f"the picture {image.name} is {size[1]} x {size[0]}, its masks are of "
                f"{image.masks.size[1]} x {image.masks.size[0]} pixels"
            )
        collection: dict[str, Any] = {"type": "FeatureCollection"}
        if place.crs is None:
            collection["crs"] = None
        elif plain_name(place.crs) != WGS84:
            collection["crs"] = {"type": "name", "properties": {"name": urn(place.crs)}}
        collection["image"] = {**_described(image), "transform": list(place.transform), "crs": place.crs}
        collection["features"] = _features(image.masks, place, losses)
        yield f"{key}.geojson", _text(collection)

    def _read_image(self, file: Path, root: Path, places: list[Path]) -> AnnotatedImage:
        collection = _Collection.of(file, root)
        picture = find_picture(collection.name, places)
        place = collection.georeference
        if place is None:
            if collection.size is not None:
                raise DatasetError(f"{file} holds coordinates in pixels: name its format, geojson")
            if picture is None:
                raise _no_picture(file, collection.name)
            place, collection.size = read_georeference(picture, str(picture))
        rings = [ring for one in collection.features for polygon in one.polygons for ring in _rings(polygon)]
        moved = iter(_on_picture(rings, collection, place))
        outlines = [
            [_polygon(next(moved), [next(moved) for _ in polygon.holes]) for polygon in feature.polygons]
            for feature in collection.features
        ]
        return _image(collection, picture, outlines, "is it in another coordinate reference system than the file says?")


@dataclass
class _Collection:
    """What a file says, with coordinates as they are.

    Attributes:
        file: the file.
        name: the image's name.
        features: what may become masks.
        size: the image's (height, width), if it says so.
        georeference: the image's place, if it says so.
        crs: the reference system of the coordinates, if it says so.
        is_own: it has the member that anymask writes.
    """

    file: Path
    name: str
    features: list[FileFeature]
    size: tuple[int, int] | None
    georeference: Georeference | None
    crs: str | None
    is_own: bool

    @classmethod
    def of(cls, file: Path, root: Path) -> _Collection:
        content = read_json(file)
        features = parse_features(content, file)
        described = content.get("image") if isinstance(content, dict) else None
        folder = file.parent.relative_to(root)
        if not isinstance(described, dict) or "width" not in described:
            return cls(file, (folder / file.stem).as_posix(), features, None, None, _crs_of(content), False)
        size = described.get("height"), described.get("width")
        if not all(isinstance(side, int) and side > 0 for side in size):
            raise DatasetError(f"{file}: the image's width and height are numbers of pixels, got {size[::-1]}")
        name = PurePosixPath(picture_name(str(described.get("name") or f"{file.stem}.jpg"))).name
        place = None
        if "transform" in described:
            place = as_georeference(described["transform"], described.get("crs"))
        return cls(
            file, (folder / name).as_posix(), features, cast(tuple[int, int], size), place, _crs_of(content), True
        )


def _described(image: AnnotatedImage) -> dict[str, Any]:
    height, width = image.masks.size
    return {"name": PurePosixPath(image.name).name, "width": width, "height": height}


def _text(collection: dict[str, Any]) -> bytes:
    return json.dumps(collection, separators=(",", ":"), allow_nan=False).encode()


def _features(masks: Masks, place: Georeference | None, losses: Losses) -> list[dict[str, Any]]:
    masks = with_finite_columns(masks, losses)
    columns = {name: getattr(masks, column) for name, column in _COLUMNS.items()}
    features = []
    for index in range(len(masks)):
        properties: dict[str, Any] = {"index": index}
        if masks.labels is not None:
            properties["label"] = masks.labels[index]
        properties |= {name: values[index].tolist() for name, values in columns.items() if values is not None}
        properties["area"] = int(masks.areas[index])
        geometry = _geometry(masks.polygons(index), place)
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return features


_COLUMNS = {"score": "scores", "stability": "stability", "point": "points", "crop": "crops"}
"""The properties of features, and the columns that they are of masks."""


def _geometry(polygons: list[Polygon], place: Georeference | None) -> dict[str, Any] | None:
    if not polygons:
        return None
    coordinates = [[_closed(ring, place) for ring in _rings(polygon)] for polygon in polygons]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _rings(polygon: Polygon) -> list[NDArray[np.float32]]:
    return [polygon.exterior, *polygon.holes]


def _polygon(exterior: NDArray[np.float64], holes: list[NDArray[np.float64]]) -> Polygon:
    # Places on a map need more digits than pixels; a Polygon works with any.
    return Polygon(cast(Any, exterior), cast(Any, holes))


def _closed(ring: NDArray[np.float32], place: Georeference | None) -> list[list[float]]:
    corners = np.concatenate([ring, ring[:1]])
    if place is None:
        return cast(list[list[float]], corners.astype(np.int64).tolist())
    # Outlines run so that their area is positive in pixels; a transform that mirrors turns them round.
    return cast(list[list[float]], place.to_map(corners[::-1] if place.mirrors else corners).tolist())


def _on_picture(
    rings: list[NDArray[np.float32]], collection: _Collection, place: Georeference
) -> list[NDArray[np.float64]]:
    """Take rings on the map to pixel corners of the picture at ``place``; infinitely far if off its system."""
    if not rings:
        return []
    places = [ring.astype(np.float64) for ring in rings]
    system = collection.crs
    if system is None and not collection.is_own and all((np.abs(ring) <= (180, 90)).all() for ring in places):
        system = WGS84
    if system is None or place.crs is None or same_system(system, place.crs):
        return [place.to_pixels(ring) for ring in places]
    moved = reproject(places, plain_name(system), place.crs)
    return [
        np.full_like(ring, np.inf) if there is None else place.to_pixels(there)
        for ring, there in zip(places, moved, strict=True)
    ]


def _image(collection: _Collection, picture: Path | None, outlines: list[list[Polygon]], hint: str) -> AnnotatedImage:
    """Make masks of features whose polygons are given in pixel corners."""
    assert collection.size is not None
    height, width = collection.size
    rles: list[RLE] = []
    kept: list[FileFeature] = []
    outside = 0
    for number, (feature, polygons) in enumerate(zip(collection.features, outlines, strict=True)):
        if polygons:
            x0, y0, x1, y1 = extent(polygons)
            if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
                outside += 1
                continue
        try:
            rles.append(rasterise(polygons, collection.size))
        except MaskError as error:
            raise DatasetError(f"feature {number} of {collection.file}: {error}") from error
        kept.append(feature)
    if outside:
        left_out = (
            f"{outside:,} of {len(outlines):,} features of {collection.file} lie off the picture of "
            f"{width} x {height} pixels"
        )
        if outside == len(outlines):
            raise DatasetError(f"{left_out}; {hint}")
        warnings.warn(f"{left_out} and are left out", FormatWarning, stacklevel=2)
    masks = Masks(rles, collection.size, **_columns(kept, collection))
    return AnnotatedImage(collection.name if picture is None else _named(collection, picture), masks, picture)


def _named(collection: _Collection, picture: Path) -> str:
    """Give the image's name; where the file does not say it, with the ending of the picture that was found."""
    return collection.name if collection.is_own else str(PurePosixPath(collection.name).with_name(picture.name))


def _columns(features: list[FileFeature], collection: _Collection) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    labels = [_own_label(feature) if collection.is_own else feature.label for feature in features]
    if any(label is not None for label in labels):
        columns["labels"] = labels
    for name, column in _COLUMNS.items():
        values: list[Any] = [feature.properties.get(name) for feature in features]
        if not features or any(value is None for value in values):
            continue
        try:
            columns[column] = checked_column(column, values, len(features))
        except (MaskError, TypeError, ValueError) as error:
            # In files of other programs the same word may mean anything.
            if collection.is_own:
                raise DatasetError(
                    f"{collection.file}: the property {name} of a feature is unsound: {error}"
                ) from error
    return columns


def _own_label(feature: FileFeature) -> str | None:
    label = feature.properties.get("label")
    return label if isinstance(label, str) else None


def _crs_of(content: Any) -> str | None:
    """Return the reference system that the ``crs`` member names, if any."""
    crs = content.get("crs") if isinstance(content, dict) else None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return name if isinstance(name, str) and name else None


def _no_picture(file: Path, name: str) -> DatasetError:
    return DatasetError(
        f"{file} does not say how large its image is, and there is no picture {name}.tif (or .jpg, .png, ...) beside "
        "it: name the folder of the pictures (--pictures)"
    )


def _is_on_map(path: Path) -> bool | None:
    """Tell whether a file, or one of the first of a folder, is GeoJSON on a map (True), in pixels (False) or none."""
    files = [path] if path.is_file() else files_below(path, (".geojson",))
    for _, file in zip(range(20), files, strict=False):
        if file.suffix.lower() not in (".geojson", ".json"):
            continue
        try:
            content = read_json(file)
        except DatasetError:
            continue
        if not is_geojson(content):
            continue
        described = content.get("image") if isinstance(content, dict) else None
        return _crs_of(content) is not None or (isinstance(described, dict) and "transform" in described)
    return None
