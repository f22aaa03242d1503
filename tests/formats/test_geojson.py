"""GeoJSON in pixels: exact outlines, checked by shapely and GDAL, and what other programs write."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.features
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from PIL import Image
from random_images import FINITE, random_masks
from shapely.geometry import shape as shapely_shape
from small_set import shapes

from anymask.formats.annotated import AnnotatedImage, FormatError, FormatWarning, Losses
from anymask.formats.geojson import GeoJson
from anymask.formats.instances import DatasetError
from anymask.formats.registry import FORMATS, recognise_format
from anymask.segment.masks import Masks

SQUARE = [[2, 3], [8, 3], [8, 9], [2, 9], [2, 3]]
POSITION = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
RINGS = {"type": "array", "items": {"type": "array", "items": POSITION, "minItems": 4}, "minItems": 1}
RFC_7946: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "not": {"anyOf": [{"required": ["coordinates"]}, {"required": ["geometries"]}]},
                "properties": {
                    "type": {"const": "Feature"},
                    "properties": {"type": ["object", "null"]},
                    "geometry": {
                        "oneOf": [
                            {"type": "null"},
                            {
                                "type": "object",
                                "required": ["type", "coordinates"],
                                "properties": {"type": {"const": "Polygon"}, "coordinates": RINGS},
                            },
                            {
                                "type": "object",
                                "required": ["type", "coordinates"],
                                "properties": {
                                    "type": {"const": "MultiPolygon"},
                                    "coordinates": {"type": "array", "items": RINGS, "minItems": 1},
                                },
                            },
                        ]
                    },
                },
            },
        },
    },
    "not": {"anyOf": [{"required": [name]} for name in ("coordinates", "geometries", "geometry", "properties")]},
}
"""What RFC 7946 asks of a collection of polygons."""


def text_of(masks: Masks, name: str = "a.jpg", losses: Losses | None = None) -> str:
    ((file, content),) = GeoJson().files(AnnotatedImage(name, masks), "key", losses or Losses())
    assert file == "key.geojson"
    return content.decode()


def read(path: Path, pictures: Path | None = None) -> list[AnnotatedImage]:
    return list(GeoJson().read(path, pictures))


def foreign(folder: Path, content: Any, name: str = "a", size: tuple[int, int] | None = (20, 30)) -> Path:
    """Write a file of another program and a picture of (height, width) beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if size is not None:
        Image.new("RGB", size[::-1]).save(folder / f"{name}.png")
    return path


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def square_mask() -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 2:8] = True
    return mask


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks=random_masks(FINITE))
def test_there_and_back(tmp_path: Path, masks: Masks) -> None:
    path = tmp_path / "key.geojson"
    path.write_text(text_of(masks))
    (found,) = read(path)
    assert found.name == "a.jpg"
    assert found.masks == masks


@settings(max_examples=60, deadline=None)
@given(masks=random_masks())
def test_other_readers_see_the_same_pixels(masks: Masks) -> None:
    content = json.loads(text_of(masks))
    Draft202012Validator(RFC_7946).validate(content)
    assert len(content["features"]) == len(masks)
    for index, one in enumerate(content["features"]):
        assert one["properties"]["index"] == index
        assert one["properties"]["area"] == masks.areas[index]
        if one["geometry"] is None:
            assert masks.areas[index] == 0
            continue
        geometry = shapely_shape(one["geometry"])
        assert geometry.is_valid
        assert geometry.area == masks.areas[index]
        burnt = rasterio.features.rasterize([one["geometry"]], masks.size)
        np.testing.assert_array_equal(burnt, masks.mask(index))


def test_what_a_file_says() -> None:
    arrays = shapes(31, 43)[[0, 3, 4, 6]]
    masks = Masks.from_arrays(arrays, labels=["ring", None, "pair", None], scores=[0.5, 0.25, 0, 1])
    content = json.loads(text_of(masks, "street/a.jpg"))
    assert content["image"] == {"name": "a.jpg", "width": 43, "height": 31}
    ring, pixel, pair, nothing = content["features"]
    assert ring["properties"] == {"index": 0, "label": "ring", "score": 0.5, "area": int(arrays[0].sum())}
    assert [ring["geometry"]["type"], len(ring["geometry"]["coordinates"])] == ["Polygon", 2]
    corners = pixel["geometry"]["coordinates"][0]
    assert corners[0] == corners[-1]
    assert sorted(map(tuple, corners[:-1])) == [(42, 30), (42, 31), (43, 30), (43, 31)]
    assert pair["geometry"]["type"] == "MultiPolygon"
    assert nothing["geometry"] is None
    assert "1.0" not in json.dumps(ring["geometry"])


def test_numbers_that_json_has_not_are_left_out_and_counted() -> None:
    losses = Losses()
    masks = Masks.from_arrays(shapes(31, 43)[:2], scores=[np.nan, 0.5], stability=[0.5, 0.25])
    properties = json.loads(text_of(masks, losses=losses))["features"][1]["properties"]
    assert properties.keys() == {"index", "stability", "area"}
    assert losses.lines() == ["scores of an image are left out where one is infinite or no number (2 masks)"]


def test_files_of_other_programs(tmp_path: Path) -> None:
    """Every shape in which a polygon may come, with and without a closing corner, height, properties."""
    hole = [[4, 5], [4, 7], [6, 7], [6, 5], [4, 5]]
    bare = [[*corner, 12.5] for corner in SQUARE[:-1]]
    line = {"type": "LineString", "coordinates": [[1, 1], [5, 5]]}
    tumour = {"name": "Tumour", "color": [255, 0, 0]}
    features = [
        feature(polygon(SQUARE, hole), Class="ring"),
        {"type": "feature", "properties": None, "geometry": {"type": "POLYGON", "coordinates": [bare]}},
        feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [[[10, 10], [12, 10], [12, 12], [10, 12]]]]}),
        feature({"type": "GeometryCollection", "geometries": [line, polygon(SQUARE)]}, name="both"),
        feature(polygon(SQUARE), objectType="annotation", classification=tumour, name="7"),
        feature(None, label="nothing"),
        feature(polygon(), label=""),
        feature(line),
        feature({"type": "Point", "coordinates": [3, 3]}),
        feature(polygon([[-5, -5], [5, -5], [5, 5], [-5, 5], [-5, -5]])),
    ]
    path = foreign(tmp_path, {"type": "FeatureCollection", "name": "drawn", "features": features})
    with pytest.warns(FormatWarning, match=r"2 features of .*a\.geojson without a polygon"):
        (image,) = read(path)
    assert (image.name, image.picture) == ("a.png", tmp_path / "a.png")
    masks = image.masks
    assert masks.labels == ["ring", None, None, "both", "Tumour", "nothing", None, None]
    assert masks.scores is None
    square = square_mask()
    ring = square.copy()
    ring[5:7, 4:6] = False
    more = square.copy()
    more[10:12, 10:12] = True
    corner = np.zeros((20, 30), bool)
    corner[:5, :5] = True
    nothing = np.zeros((20, 30), bool)
    expected = [ring, square, more, square, square, nothing, nothing, corner]
    np.testing.assert_array_equal(masks.decode(), expected)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: one["geometry"],
        lambda one: [one],
        lambda one: {"type": "featurecollection", "features": [one]},
    ],
)
def test_a_polygon_alone(tmp_path: Path, wrap: Any) -> None:
    path = foreign(tmp_path, wrap(feature(polygon(SQUARE))))
    assert recognise_format(path).name == "geojson"
    ((masks,),) = [image.masks for image in read(path)]
    np.testing.assert_array_equal(masks.mask(), square_mask())


def test_scores_of_other_programs_count_if_all_have_one(tmp_path: Path) -> None:
    square = polygon(SQUARE)
    for values, expected in (([0.5, 1], [0.5, 1]), ([0.5, None], None), ([0.5, "high"], None)):
        features = [feature(square, score=value) for value in values]
        path = foreign(tmp_path, {"type": "FeatureCollection", "features": features})
        (image,) = read(path)
        assert (None if image.masks.scores is None else image.masks.scores.tolist()) == expected


def test_the_picture_is_found_and_turned_upright(tmp_path: Path) -> None:
    path = foreign(tmp_path / "outlines" / "deep", feature(polygon(SQUARE)), size=None)
    with pytest.raises(DatasetError, match=r"does not say how large its image is.*deep/a\.tif.*--pictures"):
        read(tmp_path / "outlines")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    Image.new("RGB", (20, 30)).save(tmp_path / "photos" / "deep" / "a.JPG", exif=exif)
    (image,) = read(tmp_path / "outlines", tmp_path / "photos")
    assert (image.name, image.masks.size) == ("deep/a.JPG", (20, 30))
    assert image.picture == tmp_path / "photos" / "deep" / "a.JPG"
    (path.parent / "a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="cannot read the image"):
        read(tmp_path / "outlines")


def test_what_lies_off_the_picture(tmp_path: Path) -> None:
    off = polygon([[40, 3], [50, 3], [50, 9]])
    path = foreign(tmp_path, {"type": "FeatureCollection", "features": [feature(off), feature(polygon(SQUARE))]})
    with pytest.warns(FormatWarning, match="1 of 2 features of .* lie off the picture of 30 x 20 pixels and are left"):
        (image,) = read(path)
    np.testing.assert_array_equal(image.masks.decode(), [square_mask()])
    foreign(tmp_path, feature(off))
    with pytest.raises(DatasetError, match=r"1 of 1 features .* the format geojson-map reads map coordinates"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ({"type": "Topology"}, "is not GeoJSON: it is no FeatureCollection"),
        ([], "is not GeoJSON"),
        (feature(polygon([[1, 1], [2, 2], [1, 1]])), "feature 0 .* at least three different"),
        (feature(polygon([[1, 1], [2, "b"], [1, 4], [5, 5]])), "feature 0 of .* is not GeoJSON's"),
        (feature(polygon([[1, 1], [2], [1, 4], [5, 5]])), "feature 0 of .* is not GeoJSON's: IndexError"),
        ('{"type": "Polygon", "coordinates": [[[1, 1], [NaN, 2], [1, 4]]]}', "all finite"),
        (feature({"type": "Circle", "coordinates": [1, 1]}), "unknown geometry 'Circle'; masks are Polygon"),
        (feature({"type": "Polygon"}), "is not GeoJSON's: KeyError"),
        ({"type": "FeatureCollection", "features": ["a"]}, "feature 0 of .* is not GeoJSON's"),
        ({"type": "FeatureCollection", "features": [{"type": "Thing"}]}, "its type is \"Feature\", not 'Thing'"),
        ({"type": "FeatureCollection", "features": [], "image": {"width": 0, "height": 5}}, "numbers of pixels"),
        ({"type": "FeatureCollection", "features": [], "image": {"name": "a.png", "width": 5, "height": 5,
          "transform": [1, 0, 0, 0, -1, 0]}}, "holds map coordinates: name its format, geojson-map"),
        ({"type": "FeatureCollection", "features": [feature(None, score="high")],
          "image": {"name": "a.png", "width": 5, "height": 5}}, "the property score of a feature is unsound"),
        ({"type": "FeatureCollection", "features": [], "image": {"name": "..", "width": 5, "height": 5}},
         "'..' is not the name of a picture"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path: Path, content: Any, message: str) -> None:
    path = foreign(tmp_path, content)
    with pytest.raises(DatasetError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    foreign(tmp_path, "{", "a")
    foreign(tmp_path, feature(polygon(SQUARE)), "b")
    first, second = GeoJson().read_each(tmp_path)
    assert isinstance(first, DatasetError)
    assert isinstance(second, AnnotatedImage)
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match=r"holds no \.geojson file"):
        read(tmp_path / "none")


def test_only_names_inside_the_folder(tmp_path: Path) -> None:
    described = {"name": "../../away.png", "width": 30, "height": 20}
    path = foreign(tmp_path, {"type": "FeatureCollection", "features": [], "image": described}, size=None)
    assert [image.name for image in read(path)] == ["away.png"]


def test_saving_one_file(tmp_path: Path) -> None:
    masks = Masks.from_arrays(square_mask())
    with pytest.raises(FormatError, match="name one of"):
        masks.save(tmp_path / "truck.geojson")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks.save(tmp_path / "truck.geojson", format="geojson")
    (image,) = FORMATS["geojson"].read(tmp_path / "truck.geojson")
    assert (image.name, image.masks) == ("truck.jpg", masks)
