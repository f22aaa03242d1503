"""GeoJSON on the map: the same pixels back from any georeference, and files of other programs in other systems."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.features
import rasterio.warp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from random_images import random_masks
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from shapely.geometry import shape as shapely_shape
from small_set import shapes

from anymask.formats.annotated import AnnotatedImage, FormatError, FormatWarning, Losses
from anymask.formats.geojson import GeoJsonMap
from anymask.formats.georeference import Georeference, as_georeference, plain_name, read_georeference, urn
from anymask.formats.instances import DatasetError
from anymask.formats.registry import recognise_format
from anymask.segment.errors import MissingPackageError
from anymask.segment.masks import Masks

UTM = Affine(0.5, 0, 431_250.5, 0, -0.5, 5_411_817.25)
SIZE = (31, 43)


def geotiff(
    path: Path, size: tuple[int, int] = SIZE, crs: Any = "EPSG:32632", place: Affine | None = UTM, **more: Any
) -> Path:
    layout = {"driver": "GTiff", "height": size[0], "width": size[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **layout, crs=crs, transform=place, **more) as raster:
        raster.write(np.zeros((1, *size), np.uint8))
    return path


def file_of(image: AnnotatedImage) -> dict[str, Any]:
    ((name, content),) = GeoJsonMap().files(image, "key", Losses())
    assert name == "key.geojson"
    return json.loads(content)


def read(path: Path, pictures: Path | None = None) -> list[AnnotatedImage]:
    return list(GeoJsonMap().read(path, pictures))


def some_masks() -> Masks:
    return Masks.from_arrays(shapes(*SIZE), labels=["a", None, "b", "c", "d", "e", "f", "g"], scores=np.arange(8) / 8)


@pytest.mark.parametrize(
    ("crs", "place", "member"),
    [
        ("EPSG:32632", UTM, "urn:ogc:def:crs:EPSG::32632"),
        ("EPSG:4326", Affine(1e-6, 0, 10.123456789, 0, -1e-6, 48.7654321), "none"),
        ("OGC:CRS84", Affine(1e-6, 0, 10.123456789, 0, -1e-6, 48.7654321), "none"),
        ("ESRI:102003", Affine(2, 0.3, 1e6, 0.3, -2, 2e6), "urn:ogc:def:crs:ESRI::102003"),
        ("EPSG:2180", Affine(0, 2, 500, 2, 0, 700), "urn:ogc:def:crs:EPSG::2180"),
        ("+proj=laea +lat_0=12 +lon_0=33 +datum=WGS84", Affine(3, 0, 0.1, 0, 3, 0.7), "PROJCS"),
        (None, Affine(0.1, 0, 0.3, 0, -0.1, 0.7), None),
    ],
)
def test_the_same_pixels_come_back(tmp_path: Path, crs: str | None, place: Affine, member: str | None) -> None:
    """The file alone suffices; GDAL burns the same pixels, and shapely finds rings as RFC 7946 wants them."""
    masks = some_masks()
    picture = geotiff(tmp_path / "a.tif", crs=crs, place=place)
    content = file_of(AnnotatedImage("a.tif", masks, picture))
    assert content["image"]["transform"] == list(place)[:6]
    if member is None:
        assert content["crs"] is None
        assert content["image"]["crs"] is None
    elif member == "none":
        assert "crs" not in content
    else:
        assert content["crs"]["properties"]["name"].startswith(member)
        named = rasterio.crs.CRS.from_user_input(content["image"]["crs"])
        assert named == rasterio.crs.CRS.from_user_input(crs)
    for index, one in enumerate(content["features"]):
        if one["geometry"] is None:
            continue
        burnt = rasterio.features.rasterize([one["geometry"]], SIZE, transform=place)
        np.testing.assert_array_equal(burnt, masks.mask(index))
        geometry = shapely_shape(one["geometry"])
        assert geometry.is_valid
        for part in getattr(geometry, "geoms", [geometry]):
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
    (tmp_path / "alone").mkdir()
    path = tmp_path / "alone" / "a.geojson"
    path.write_text(json.dumps(content))
    assert recognise_format(path).name == "geojson-map"
    (image,) = read(path)
    assert (image.name, image.picture, image.masks) == ("a.tif", None, masks)


NUMBERS = st.floats(-1e3, 1e3).filter(lambda value: abs(value) > 1e-3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    masks=random_masks(),
    turn=st.floats(0, 6.3),
    pixel=NUMBERS,
    tall=NUMBERS,
    x=st.floats(-1e7, 1e7),
    y=st.floats(-1e7, 1e7),
)
def test_any_transform(
    tmp_path: Path, masks: Masks, turn: float, pixel: float, tall: float, x: float, y: float
) -> None:
    place = Affine.translation(x, y) @ Affine.rotation(np.degrees(turn)) @ Affine.scale(pixel, tall)
    picture = geotiff(tmp_path / "a.tif", masks.size, place=place)
    (tmp_path / "a.geojson").write_text(json.dumps(file_of(AnnotatedImage("a.tif", masks, picture))))
    (image,) = read(tmp_path)
    assert image.masks == masks


def test_pixels_to_the_map_and_back() -> None:
    place = as_georeference([2, 0.5, 100, -0.25, -3, 200], "EPSG:32632")
    corners = np.random.default_rng(0).uniform(0, 1000, (50, 2))
    expected = [Affine(2, 0.5, 100, -0.25, -3, 200) @ tuple(corner) for corner in corners.tolist()]
    np.testing.assert_allclose(place.to_map(corners), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(place.to_pixels(place.to_map(corners)), corners, rtol=0, atol=1e-9)
    assert place.mirrors
    assert not as_georeference([2, 0, 0, 0, 2, 0], None).mirrors


def test_bytes_and_world_files(tmp_path: Path) -> None:
    picture = geotiff(tmp_path / "a.tif")
    expected = Georeference(tuple(UTM)[:6], "EPSG:32632"), SIZE
    assert read_georeference(picture, "a") == expected
    assert read_georeference(picture.read_bytes(), "a") == expected
    Image.new("RGB", (8, 6)).save(tmp_path / "b.jpg")
    (tmp_path / "b.jgw").write_text("0.5\n0\n0\n-0.5\n1000.25\n2000.75\n")
    # A world file gives the middle of the first pixel.
    assert read_georeference(tmp_path / "b.jpg", "b") == (Georeference((0.5, 0, 1000, 0, -0.5, 2001), None), (6, 8))


def test_pictures_without_a_place(tmp_path: Path) -> None:
    masks = some_masks()
    with pytest.raises(FormatError, match=r"needs the picture of a\.jpg.*geojson, in pixels, does not"):
        file_of(AnnotatedImage("a.jpg", masks))
    Image.new("RGB", (43, 31)).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"the picture a\.png has no georeference: its masks fit geojson, in pixels"):
        file_of(AnnotatedImage("a.png", masks, tmp_path / "a.png"))
    points = [GroundControlPoint(row, col, 500 + col, 900 - row) for row, col in ((0, 0), (0, 9), (9, 0))]
    located = geotiff(tmp_path / "b.tif", place=None, gcps=points)
    with pytest.raises(FormatError, match="is located by control points only: rectify it first"):
        file_of(AnnotatedImage("b.tif", masks, located))
    with pytest.raises(FormatError, match=r"the picture c\.tif is 30 x 20, its masks are of 43 x 31 pixels"):
        file_of(AnnotatedImage("c.tif", masks, geotiff(tmp_path / "c.tif", (20, 30))))
    for broken in (b"nothing", tmp_path / "gone.tif"):
        with pytest.raises(FormatError, match=r"the picture d\.tif cannot be read"):
            file_of(AnnotatedImage("d.tif", masks, broken))


def test_without_rasterio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What anymask wrote reads without it; a picture's place does not."""
    picture = geotiff(tmp_path / "a.tif")
    image = AnnotatedImage("a.tif", some_masks(), picture)
    (tmp_path / "a.geojson").write_text(json.dumps(file_of(image)))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert [one.masks for one in read(tmp_path)] == [image.masks]
    with pytest.raises(MissingPackageError, match=r'pip install "anymask\[geo\]"'):
        file_of(image)


def drawn(folder: Path, x: float, y: float, system: Any = None, **more: Any) -> Path:
    """Write what QGIS writes of a rectangle of 8 x 5 pixels at pixel (x, y), with corners in the given system."""
    corners = np.array([[x, y], [x + 8, y], [x + 8, y + 5], [x, y + 5], [x, y]]) * (0.5, -0.5)
    places = corners + np.array([431_250.5, 5_411_817.25])
    if system is not None:
        places = np.array(rasterio.warp.transform("EPSG:32632", system, *places.T.tolist())).T
    collection = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"id": 1},
                "geometry": {"type": "MultiPolygon", "coordinates": [[np.c_[places, np.zeros(5)].tolist()]]},
            }
        ],
        **more,
    }
    path = folder / "a.geojson"
    path.write_text(json.dumps(collection))
    return path


def member(name: str) -> dict[str, Any]:
    return {"crs": {"type": "name", "properties": {"name": name}}}


@pytest.mark.parametrize(
    ("system", "more"),
    [
        (None, member("urn:ogc:def:crs:EPSG::32632")),
        (None, member("EPSG:32632")),
        (None, {}),
        ("EPSG:4326", {}),
        ("EPSG:4326", member("urn:ogc:def:crs:OGC:1.3:CRS84")),
        ("EPSG:3857", member("urn:ogc:def:crs:EPSG::3857")),
    ],
)
def test_polygons_drawn_in_a_map_program(tmp_path: Path, system: str | None, more: dict[str, Any]) -> None:
    """The system is the one that is named, else degrees if they can be, else the picture's."""
    geotiff(tmp_path / "a.tif")
    (image,) = read(drawn(tmp_path, 4, 6, system, **more))
    expected = np.zeros(SIZE, bool)
    expected[6:11, 4:12] = True
    np.testing.assert_array_equal(image.masks.decode(), [expected])
    assert (image.name, image.picture) == ("a.tif", tmp_path / "a.tif")


def test_polygons_off_the_picture(tmp_path: Path) -> None:
    geotiff(tmp_path / "a.tif")
    path = drawn(tmp_path, 100, 6)
    with pytest.raises(DatasetError, match="lie off the picture of 43 x 31 pixels; is it in another coordinate ref"):
        read(path)
    far = json.loads(path.read_text())["features"]
    content = json.loads(drawn(tmp_path, 40, 29).read_text())
    content["features"] += far
    path.write_text(json.dumps(content))
    with pytest.warns(FormatWarning, match="1 of 2 features"):
        (image,) = read(path)
    assert image.masks.areas.tolist() == [3 * 2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (member("EPSG:999999"), "'EPSG:999999' is no coordinate reference system that is known here"),
        (member("somewhere"), "'somewhere' is no coordinate"),
        ({"image": {"name": "a.tif", "width": 43, "height": 31}}, "holds coordinates in pixels: name its format"),
        ({"image": {"name": "a.tif", "width": 43, "height": 31, "transform": [1, 0, 0]}}, "is six numbers"),
        ({"image": {"name": "a.tif", "width": 43, "height": 31, "transform": [1, 1, 0, 1, 1, 0]}}, "be inverted"),
        ({"image": {"name": "a.tif", "width": 43, "height": 31, "transform": [1, 0, 0, 0, 1, 0], "crs": 7}}, "a text"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    geotiff(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match=message) as caught:
        read(drawn(tmp_path, 4, 6, **more))
    assert "a.geojson" in str(caught.value)


def test_degrees_that_have_no_place_in_the_system(tmp_path: Path) -> None:
    """A file of the whole earth is read for a picture whose system covers a part of it."""
    geotiff(tmp_path / "a.tif")
    path = drawn(tmp_path, 4, 6, "EPSG:4326")
    content = json.loads(path.read_text())
    away = [[[[-81, 0], [-80, 0], [-80, 1]]]]
    content["features"].append({"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": away}})
    path.write_text(json.dumps(content))
    with pytest.warns(FormatWarning, match="1 of 2 features"):
        (image,) = read(tmp_path)
    assert image.masks.areas.tolist() == [8 * 5]


def test_a_picture_is_needed_where_the_file_says_nothing(tmp_path: Path) -> None:
    path = drawn(tmp_path, 4, 6)
    with pytest.raises(DatasetError, match=r"there is no picture a\.tif .*--pictures"):
        read(path)
    Image.new("RGB", (43, 31)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png has no georeference"):
        read(path)


@pytest.mark.parametrize(
    ("given_name", "plain"),
    [
        ("urn:ogc:def:crs:EPSG::32633", "EPSG:32633"),
        ("urn:ogc:def:crs:EPSG:9.8:32633", "EPSG:32633"),
        ("epsg:32633", "EPSG:32633"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
        ('GEOGCS["unknown"]', 'GEOGCS["unknown"]'),
    ],
)
def test_names_of_systems(given_name: str, plain: str) -> None:
    assert plain_name(given_name) == plain
    assert plain_name(urn(plain)) == plain
