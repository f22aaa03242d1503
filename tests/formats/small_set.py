"""A small data set that has all that a format may or may not hold, and what should be left of it in a given format."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anymask.formats.annotated import AnnotatedImage, Feature
from anymask.segment.masks import Masks

COLUMNS = {
    Feature.SCORES: "scores",
    Feature.STABILITY: "stability",
    Feature.POINTS: "points",
    Feature.CROPS: "crops",
}
_UPRIGHT = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def shapes(height: int, width: int) -> NDArray[np.bool_]:
    """A ring, an L in two parts at the border, a disc over both, one pixel, a diagonal pair, everything, nothing."""
    y, x = np.mgrid[0:height, 0:width]
    masks = np.zeros((8, height, width), bool)
    masks[0] = (abs(y - 8) <= 6) & (abs(x - 9) <= 7) & ~((abs(y - 8) <= 2) & (abs(x - 9) <= 3))
    masks[1, height - 5 :, : width // 2] = True
    masks[1, 2:9, width - 3 :] = True
    masks[2] = (y - 14) ** 2 + (x - 12) ** 2 <= 40
    masks[3, height - 1, width - 1] = True
    masks[4, 1, 19] = masks[4, 2, 20] = True
    masks[5] = True
    masks[7, 20:24, 20:29] = True
    return masks


def pixels(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A picture that is nowhere the same."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_picture(path: Path, image: NDArray[np.uint8], orientation: int = 1) -> Path:
    """Write a picture that is shown as given, stored turned as its EXIF orientation says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = _UPRIGHT[orientation]
    picture = Image.fromarray(image) if turn is None else Image.fromarray(image).transpose(turn)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return path


def write_map(path: Path, image: NDArray[np.uint8]) -> Path:
    """Write a GeoTIFF, half a metre a pixel."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = image.shape
    place = rasterio.Affine(0.5, 0, 431_250.5, 0, -0.5, 5_411_817.25)
    layout = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=place, **layout) as raster:
        raster.write(np.moveaxis(image, 2, 0))
    return path


def small_set(folder: Path, as_maps: bool = False) -> list[AnnotatedImage]:
    """Write the pictures into the folder, as GeoTIFFs if wanted, and return the images with their masks."""
    names: dict[str, tuple[int, int, int]] = {
        "street/a.jpg": (31, 43, 6),
        "street/a.png": (31, 43, 1),
        "street/deep/b 1.2.jpg": (29, 40, 1),
        "größe.png": (37, 31, 1),
        "nothing here.png": (5, 7, 1),
        "pixel.png": (1, 1, 1),
    }
    images = []
    for number, (name, (height, width, orientation)) in enumerate(names.items()):
        shown = pixels(height, width, number)
        if as_maps:
            picture = write_map((folder / name).with_suffix(".tif" if number else ".tiff"), shown)
        else:
            picture = write_picture(folder / name, shown, orientation)
        images.append(AnnotatedImage(picture.relative_to(folder).as_posix(), _masks(number, (height, width)), picture))
    return images


def _masks(number: int, size: tuple[int, int]) -> Masks:
    if number == 4:
        return Masks.empty(size)
    if number == 5:
        return Masks.from_arrays(np.ones((1, 1, 1), bool), labels=["cup"])
    random = np.random.default_rng(number)
    corners = random.integers(0, 10, (8, 2)).astype(np.float32)
    masks = Masks.from_arrays(
        shapes(*size),
        scores=random.random(8, dtype=np.float32),
        stability=random.random(8, dtype=np.float32),
        points=corners + random.random((8, 2), dtype=np.float32),
        crops=np.concatenate([corners, corners + 15], axis=1),
        labels=["cup", "dog", None, 'hot "dog", big: 1/2', "cup", "日本 dog's", "cup", None],
    )
    if number == 1:
        return masks[[3, 0]]
    if number == 2:
        return masks[[7, 1, 4]].replace(labels=None)
    return masks if number == 0 else Masks(masks.rles[1:4], size)


def reduced(images: Iterable[AnnotatedImage], features: frozenset[Feature]) -> list[AnnotatedImage]:
    """What is left of the images where only these features are held."""
    left = []
    for image in images:
        masks = image.masks[np.array(_kept(image.masks, features), dtype=int)]
        columns: dict[str, Any] = {name: None for feature, name in COLUMNS.items() if feature not in features}
        if Feature.LABELS not in features or not any(masks.labels or []):
            columns["labels"] = None
        masks = masks.replace(prompt=None, logits=None, **columns)
        if len(masks) or Feature.UNMASKED_IMAGES in features:
            left.append(replace(image, masks=masks))
    return left


def _kept(masks: Masks, features: frozenset[Feature]) -> list[int]:
    kept: list[int] = []
    taken = np.zeros(masks.size, bool)
    for index in range(len(masks)):
        polygons = masks.polygons(index)
        unlabelled = masks.labels is None or masks.labels[index] is None
        lost = {
            Feature.EMPTY_MASKS: not polygons,
            Feature.HOLES: any(polygon.holes for polygon in polygons),
            Feature.PARTS: len(polygons) > 1,
            Feature.OVERLAPS: bool((masks.mask(index) & taken).any()),
            Feature.UNLABELLED: unlabelled and Feature.LABELS in features,
        }
        if any(there and feature not in features for feature, there in lost.items()):
            continue
        kept.append(index)
        taken |= masks.mask(index)
    return kept


def check_same(
    found: Sequence[AnnotatedImage], expected: Sequence[AnnotatedImage], features: frozenset[Feature]
) -> None:
    """Assert that images are the same in all that the features cover."""
    assert sorted(image.name for image in found) == sorted(image.name for image in expected)
    by_name = {image.name: image.masks for image in found}
    for image in expected:
        there, wanted = by_name[image.name], image.masks
        assert there.size == wanted.size, image.name
        assert len(there) == len(wanted), image.name
        if Feature.ORDER not in features:
            there, wanted = _sorted(there), _sorted(wanted)
        np.testing.assert_array_equal(there.decode(), wanted.decode(), image.name)
        if Feature.LABELS in features:
            assert there.labels == wanted.labels, image.name
        for feature, name in COLUMNS.items():
            if feature in features and len(wanted):
                values, wanted_values = getattr(there, name), getattr(wanted, name)
                assert (values is None) == (wanted_values is None), f"{name} of {image.name}"
                if values is not None:
                    np.testing.assert_array_equal(values, wanted_values, f"{name} of {image.name}")


def _sorted(masks: Masks) -> Masks:
    scores = np.zeros(len(masks)) if masks.scores is None else masks.scores
    keys = [(one["counts"], float(score)) for one, score in zip(masks.rles, scores, strict=True)]
    return masks[np.array(sorted(range(len(masks)), key=lambda index: keys[index]), dtype=int)]


def picture_bytes(image: AnnotatedImage) -> bytes:
    """The bytes of the image's picture, which must be there."""
    assert image.picture is not None, f"no picture of {image.name}"
    data = image.picture if isinstance(image.picture, bytes) else image.picture.read_bytes()
    assert Image.open(io.BytesIO(data)).size
    return data
