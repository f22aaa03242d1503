"""A package written for ``segment_anything``, as it is published, over the drop-in."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from skimage import data

import anymask
from anymask.models.locations import locate
from anymask.segment.prompts import Prompt

# Without their dependencies: torch, torchvision and segment_anything are among them.
PACKAGES = [
    "segment-geospatial==1.4.2",
    "geopandas==1.2.0",
    "pandas==3.1.1",
    "shapely==2.2.0",
    "pyproj==3.7.2",
    "pyogrio==0.13.0",
    "rasterio==1.4.4",
    "affine==3.0.1",
    "attrs==26.1.0",
    "click-plugins==1.1.1.2",
    "cligj==0.7.2",
    "xyzservices==2026.9.1",
]
POINTS, LABELS, BOXES = [[150.5, 90.5], [20.5, 160.5]], [1, 0], [[40, 20, 220, 170], [100, 30, 280, 180]]

PROGRAM = """
import json, sys
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform as warp

import samgeo
from samgeo.samgeo import SamGeoPredictor

folder, checkpoint = sys.argv[1:3]
points, labels, boxes = json.loads(sys.argv[3])
image = np.load(f"{folder}/image.npy")
raster = f"{folder}/image.tif"
# A quarter of a metre a pixel, in UTM zone 33.
transform = from_origin(400000, 5800000, 0.25, 0.25)
with rasterio.open(raster, "w", driver="GTiff", width=image.shape[1], height=image.shape[0], count=3,
                   dtype="uint8", crs="EPSG:32633", transform=transform) as file:
    file.write(image.transpose(2, 0, 1))

sam = samgeo.SamGeo(model_type="pocket", checkpoint=checkpoint, automatic=False, device="cpu")
sam.set_image(raster)
found = {}
found["points"], found["scores"], _ = sam.predict(
    np.array(points), labels, multimask_output=False, return_results=True, output=f"{folder}/mask.tif"
)
with rasterio.open(f"{folder}/mask.tif") as file:
    found["written"] = file.read(1)
    assert file.crs == "EPSG:32633" and file.transform == transform
sam.tiff_to_vector(f"{folder}/mask.tif", f"{folder}/mask.gpkg")
on_the_map = [list(transform * point) for point in points]
found["map points"], _, _ = sam.predict(
    on_the_map, labels, point_crs="EPSG:32633", multimask_output=False, return_results=True
)
found["box"], _, _ = sam.predict(boxes=boxes[:1], multimask_output=False, return_results=True)
def degrees(column, row):
    (x,), (y,) = warp("EPSG:32633", "EPSG:4326", *([value] for value in transform * (column + 0.5, row + 0.5)))
    return [x, y]

on_the_map = [degrees(x0, y1) + degrees(x1, y0) for x0, y0, x1, y1 in boxes]
several, _, _ = sam.predict(boxes=on_the_map, point_crs="EPSG:4326", return_results=True)
found["boxes"] = several.numpy()
predictor = SamGeoPredictor(sam.sam)
predictor.set_image(image)
found["subclass"], _, _ = predictor.predict(box=np.array(boxes[0]), multimask_output=False)
np.savez(f"{folder}/found.npz", **found)
import geopandas
print(geopandas.read_file(f"{folder}/mask.gpkg").area.sum(), type(sam.predictor).__module__)
"""


SETTINGS = {"points_per_side": 8, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.15}

AUTOMATIC = """
import json, sys
import numpy as np
import rasterio
from rasterio.transform import from_origin

import samgeo

folder, checkpoint = sys.argv[1:3]
settings = json.loads(sys.argv[3])
image = np.load(f"{folder}/image.npy")
raster = f"{folder}/image.tif"
transform = from_origin(400000, 5800000, 0.25, 0.25)
with rasterio.open(raster, "w", driver="GTiff", width=image.shape[1], height=image.shape[0], count=3,
                   dtype="uint8", crs="EPSG:32633", transform=transform) as file:
    file.write(image.transpose(2, 0, 1))

sam = samgeo.SamGeo(model_type="pocket", checkpoint=checkpoint, automatic=True, device="cpu", sam_kwargs=settings)
found = {}
for name, options in {"numbered": {}, "foreground": {"unique": False}, "tiled": {"batch": True}}.items():
    sam.generate(raster, output=f"{folder}/{name}.tif", **options)
    with rasterio.open(f"{folder}/{name}.tif") as file:
        found[name] = file.read(1)
        assert file.crs == "EPSG:32633" and file.transform == transform
    if name == "numbered":
        found["scores"] = [score for _, score in sorted(sam.mask_scores.items(), reverse=True)]
np.savez(f"{folder}/found.npz", **found)

published = samgeo.SamGeo(model_type="pocket", checkpoint=checkpoint, device="cpu", sam_kwargs={"points_per_side": 2})
published.mask_generator.generate(image)
print(type(sam.mask_generator).__module__)
"""


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory):
    target = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"pip could not install segment-geospatial: {done.stderr.strip().splitlines()[-1]}")
    return target


@pytest.fixture
def photo():
    image = np.ascontiguousarray(data.astronaut()[:190, 100:401])
    return anymask.load("pocket", device="cpu", precision="float32").encode(image)


def run_program(program, argument, image, site_packages, folder):
    """Run a program through the drop-in: what it printed, and the arrays that it left."""
    np.save(folder / "image.npy", image)
    (folder / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "anymask.compat", "program.py", str(folder), str(locate("pocket")), argument],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "ANYMASK_PRECISION"}
        | {"PYTHONPATH": str(site_packages), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done, np.load(folder / "found.npz")


@pytest.mark.long
def test_segment_geospatial_finds_everything_that_the_own_interface_finds(site_packages, photo, tmp_path):
    done, found = run_program(AUTOMATIC, json.dumps(SETTINGS), photo.image, site_packages, tmp_path)
    assert done.stdout.split()[-1] == "anymask.compat.segment_anything.automatic_mask_generator"
    # Its own thresholds leave nothing of this model's masks, and the log says so.
    assert "no masks: the best predicted IoU is" in done.stderr
    masks = photo.segment_everything(**SETTINGS)
    assert len(masks) >= 8
    # The package numbers masks from the smallest to the largest, small ones on top.
    ours = masks.sort("areas", descending=False)
    expected = ours.label_map()
    assert found["numbered"].max() == len(masks)
    assert (found["numbered"] != expected).mean() < 1e-3
    np.testing.assert_allclose(sorted(found["scores"]), sorted(masks.scores), atol=1e-4)
    np.testing.assert_array_equal(found["foreground"] > 0, found["numbered"] > 0)
    # Its tiles are padded to 512 pixels, on which the model finds somewhat other masks.
    assert ((found["tiled"] > 0) == masks.union()).mean() > 0.8


@pytest.mark.long
def test_segment_geospatial_gives_the_masks_of_the_own_interface(site_packages, photo, tmp_path):
    prompts = json.dumps([POINTS, LABELS, BOXES])
    done, found = run_program(PROGRAM, prompts, photo.image, site_packages, tmp_path)
    area, module = done.stdout.split()[-2:]
    assert module == "anymask.compat.segment_anything.predictor"
    clicked = photo.segment(points=POINTS, labels=LABELS, multimask=False)
    boxed = photo.segment_many([Prompt(box=tuple(box), multimask=False) for box in BOXES])
    several = photo.segment_many([Prompt(box=tuple(box), multimask=True) for box in BOXES])

    def differ(name, masks):
        expected = masks.decode()
        assert 0.01 < expected.mean() < 0.99
        return (found[name].reshape(expected.shape) != expected).mean()

    assert differ("points", clicked) < 1e-3
    np.testing.assert_allclose(found["scores"], clicked.scores, atol=1e-4)
    assert differ("box", boxed[:1]) < 1e-3
    assert differ("subclass", boxed[:1]) < 1e-3
    # Coordinates on the map become whole pixels in samgeo.
    assert differ("map points", photo.segment(points=np.floor(POINTS), labels=LABELS, multimask=False)) < 1e-3
    for theirs, number in zip(found["boxes"], range(len(BOXES)), strict=True):
        ours = several[several.prompt == number].decode()
        # Ours come best first, those of the published interface in the decoder's order.
        assert all(min((mask != one).mean() for one in theirs) < 1e-3 for mask in ours)
    assert np.array_equal(found["written"] > 0, found["points"][0])
    assert float(area) == pytest.approx(found["points"].sum() / 16)
