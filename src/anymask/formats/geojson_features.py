"""The features of a GeoJSON file as programs really write it: labels and polygons, with coordinates as they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from anymask.formats.annotated import FormatWarning
from anymask.formats.instances import DatasetError
from anymask.segment.polygons import Polygon

_WITHOUT_AREA = ("point", "multipoint", "linestring", "multilinestring")
_LABEL_PROPERTIES = ("label", "class", "class_name", "category", "classification", "name")


@dataclass(frozen=True)
class FileFeature:
    """One feature that may become a mask.

    Attributes:
        properties: what the file says about it.
        label: its name, if it says any.
        polygons: its outlines in the file's coordinates, as float64; none for an empty mask.
    """

    properties: dict[str, Any]
    label: str | None
    polygons: list[Polygon]


def is_geojson(content: Any) -> bool:
    """Tell whether parsed JSON is a collection, a list of features, one feature or one geometry."""
    return _list(content) is not None


def parse_features(content: Any, source: Path | str) -> list[FileFeature]:
    """Take the features out of parsed GeoJSON: a collection, a list of features, one feature or one geometry.

    Points and lines enclose nothing and are left out, with a warning.

    Raises:
        DatasetError: it is no GeoJSON, or a geometry is broken; the message names ``source`` and the feature.
    """
    listed = _list(content)
    if listed is None:
        raise DatasetError(f"{source} is not GeoJSON: it is no FeatureCollection with features, Feature or geometry")
    features = []
    left_out = 0
    for number, given in enumerate(listed):
        try:
            feature = _parse(given)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError) as error:
            reason = str(error) if type(error) is ValueError else repr(error)
            raise DatasetError(f"feature {number} of {source} is not GeoJSON's: {reason}") from error
        if feature is None:
            left_out += 1
        else:
            features.append(feature)
    if left_out:
        what = "1 feature" if left_out == 1 else f"{left_out:,} features"
        warnings.warn(f"{what} of {source} without a polygon (points or lines) left out", FormatWarning, stacklevel=2)
    return features


def _list(content: Any) -> list[Any] | None:
    kind = _kind(content)
    if kind == "featurecollection" and isinstance(content.get("features"), list):
        return cast(list[Any], content["features"])
    if kind == "feature":
        return [content]
    if kind in ("polygon", "multipolygon", "geometrycollection", *_WITHOUT_AREA):
        return [{"type": "Feature", "geometry": content}]
    if isinstance(content, list) and content and all(_kind(one) == "feature" for one in content):
        return content
    return None


def _kind(content: Any) -> str:
    kind = content.get("type") if isinstance(content, dict) else None
    return kind.lower() if isinstance(kind, str) else ""


def _parse(given: Any) -> FileFeature | None:
    """Parse a feature; None for one that has a geometry, but nothing with an area."""
    if _kind(given) != "feature":
        raise ValueError(f'its type is "Feature", not {given.get("type")!r}')
    properties = given.get("properties") or {}
    geometry = given.get("geometry")
    polygons = [] if geometry is None else list(_polygons(geometry))
    if not polygons and geometry is not None and not _is_empty(geometry):
        return None
    return FileFeature(properties, _label(properties), polygons)


def _is_empty(geometry: dict[str, Any]) -> bool:
    return _kind(geometry) in ("polygon", "multipolygon") and not geometry["coordinates"]


def _polygons(geometry: Any) -> Iterator[Polygon]:
    kind = _kind(geometry)
    if kind == "geometrycollection":
        for part in geometry["geometries"]:
            yield from _polygons(part)
    elif kind == "polygon":
        if geometry["coordinates"]:
            yield _polygon(geometry["coordinates"])
    elif kind == "multipolygon":
        for rings in geometry["coordinates"]:
            if rings:
                yield _polygon(rings)
    elif kind not in _WITHOUT_AREA:
        raise ValueError(f"unknown geometry {geometry.get('type')!r}; masks are Polygon or MultiPolygon")


def _polygon(rings: Any) -> Polygon:
    exterior, *holes = [_ring(ring) for ring in rings]
    # Places on a map need more digits than pixels; a Polygon works with any.
    return Polygon(cast(Any, exterior), cast(Any, holes))


def _ring(positions: Any) -> NDArray[np.float64]:
    # A position may have a height above the ground, which no picture shows.
    ring = np.array([(position[0], position[1]) for position in positions], dtype=np.float64).reshape(-1, 2)
    if len(ring) > 1 and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("a ring is a list of at least three different (x, y) positions, all finite")
    return ring


def _label(properties: dict[str, Any]) -> str | None:
    lower = {key.lower(): value for key, value in properties.items()}
    for name in _LABEL_PROPERTIES:
        value = lower.get(name)
        # QuPath's classification has a name and a colour.
        if isinstance(value, dict):
            value = value.get("name")
        if isinstance(value, str) and value:
            return value
    return None
