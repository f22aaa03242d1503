"""``anymask everything``, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask.cli import app, main
from anymask.segment.masks import Masks
from anymask.segment.segmenter import Segmenter
from anymask.train.synthetic import synthetic_scene

# Random weights are sure of nothing.
OPEN = ["--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0"]
SETTINGS = {"points_per_side": 2, "pred_iou_thresh": 0, "stability_score_thresh": 0}


@pytest.fixture
def photo_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "photo.png"
    Image.fromarray(synthetic_scene(3, 90, 120).image).save(path)
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["everything", *map(str, arguments)], catch_exceptions=False)


def to_masks(record: dict[str, Any]) -> Masks:
    return Masks.from_coco(record["masks"], (record["height"], record["width"]))


def test_the_folder_holds_the_masks(photo_path: Path, loaded: Segmenter) -> None:
    done = run("photo.png", *OPEN, "-o", "results")
    assert done.exit_code == 0
    assert done.stdout == ""
    expected = loaded.encode(photo_path).segment_everything(**SETTINGS)
    assert f"photo.png: {len(expected)} mask" in done.stderr
    record = json.loads(Path("results/photo.json").read_text())
    np.testing.assert_array_equal(to_masks(record).decode(), expected.decode())
    for index, mask in enumerate(expected.decode()):
        pixels = np.asarray(Image.open(f"results/photo-mask-{index}.png"))
        np.testing.assert_array_equal(pixels, mask * 255)
    with Image.open(Path("results") / record["overlay"]) as overlay:
        assert overlay.size == (120, 90)


def test_no_overlay_and_a_region(photo_path: Path, loaded: Segmenter) -> None:
    assert run("photo.png", *OPEN, "--no-overlay", "--region", "20,10,80,70").exit_code == 0
    record = json.loads(Path("out/photo.json").read_text())
    assert "overlay" not in record
    assert not list(Path("out").glob("*-overlay.png"))
    expected = loaded.encode(photo_path).segment_everything(**SETTINGS, region=(20, 10, 80, 70))
    np.testing.assert_array_equal(to_masks(record).decode(), expected.decode())


def test_an_overlay_and_a_label_map_as_single_files(photo_path: Path, loaded: Segmenter) -> None:
    done = run("photo.png", *OPEN, "--overlay", "drawn.jpg", "--label-map", "labels.png", "--json", "masks.json")
    assert done.exit_code == 0
    assert not Path("out").exists()
    expected = loaded.encode(photo_path).segment_everything(**SETTINGS)
    assert f"photo.png: {len(expected)} mask" in done.stderr
    with Image.open("drawn.jpg") as drawing, Image.open("labels.png") as labels:
        assert drawing.format == "JPEG"
        assert drawing.size == (120, 90)
        np.testing.assert_array_equal(np.asarray(labels), expected.label_map())
    # The label map numbers the masks as the JSON lists them.
    record = json.loads(Path("masks.json").read_text())
    assert [one["area"] for one in record["masks"]] == expected.areas.tolist()
    assert run("photo.png", *OPEN, "--label-map", "again.png", "-o", "results", "--no-overlay").exit_code == 0
    assert Path("again.png").read_bytes() == Path("labels.png").read_bytes()
    assert Path("results/photo.json").exists()
    assert not list(Path("results").glob("*-overlay.png"))


def test_thresholds_are_the_model_s_own(photo_path: Path, loaded: Segmenter) -> None:
    own = loaded.everything_thresholds
    assert own.pred_iou < 0.88
    every = loaded.encode(photo_path).segment_everything(points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0)
    assert every.scores is not None
    thresholds = {"pred_iou_thresh": own.pred_iou, "stability_score_thresh": own.stability_score}
    same = loaded.encode(photo_path).segment_everything(points_per_side=4, **thresholds)
    assert run("photo.png", "--points-per-side", "4", "--json", "own.json").exit_code == 0
    assert len(json.loads(Path("own.json").read_text())["masks"]) == len(same)
    assert loaded.encode(photo_path).segment_everything(points_per_side=4) == same
    done = run("photo.png", "--preset", "sa1b", "--points-per-side", "2", "--json", "-")
    assert f"--pred-iou-thresh is 0.88 ({own.pred_iou:g} suits this model): try a lower one" in done.stderr


def test_json_on_standard_output_and_nothing_else(photo_path: Path, random_checkpoint: Path) -> None:
    command = ["everything", photo_path, *OPEN, "--json", "-", "--model", random_checkpoint, "--device", "cpu"]
    start = [sys.executable, "-c", "from anymask.cli import main; main()"]
    done = subprocess.run([*start, *map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["width"] == 120
    assert not Path("out").exists()


@pytest.mark.usefixtures("loaded")
def test_several_images_and_one_that_fails(photo_path: Path) -> None:
    Path("other").mkdir()
    Image.open(photo_path).resize((60, 50)).save("other/photo.jpg")
    done = run("photo.png", "none.png", "other/photo.jpg", *OPEN, "-o", "results", "--json", "all.json")
    assert done.exit_code == 1
    assert "there is no image at none.png" in done.stderr
    assert "1 of 3 images failed" in done.stderr
    records = json.loads(Path("all.json").read_text())
    assert [record["image"] for record in records] == ["photo.png", "other/photo.jpg"]
    # Images of one name do not overwrite each other's results.
    widths = [json.loads(Path(f"results/{name}.json").read_text())["width"] for name in ("photo", "photo-2")]
    assert widths == [120, 60]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pred-iou-thresh", "3"], "no masks; the best predicted IoU is"),
        (
            ["--pred-iou-thresh", "0", "--stability-score-thresh", "1", "--stability-score-offset", "0.01"],
            "and --stability-score-thresh is 1 (",
        ),
        (
            ["--pred-iou-thresh", "0", "--stability-score-offset", "99"],
            "none of the 12 good masks has a pixel that is surely on it",
        ),
    ],
)
@pytest.mark.usefixtures("photo_path", "loaded")
def test_why_there_are_no_masks(arguments: list[str], message: str) -> None:
    done = run("photo.png", "--points-per-side", "2", *arguments, "--json", "-")
    assert done.exit_code == 0
    assert message in done.stderr
    assert json.loads(done.stdout)["masks"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "there is no image at none.png"),
        (["photo.png", "--preset", "best"], "unknown preset 'best': use default, sa1b, fine, fast"),
        ([".", "--overlay", "a.png"], "--overlay is one file, for images that are named one by one"),
        ([".", "--no-overlay"], "--no-overlay is for images that are named one by one"),
        (["nothing-*.jpg"], "the pattern nothing-*.jpg matches no image"),
        (["photo.png", "--format", "word"], "unknown format 'word'"),
        (["photo.png", "--shard", "3/2"], "there is no part 3 of 2"),
        (["photo.png", "--shard", "1/2", "--restart"], "--restart forgets all parts of a run"),
        (["photo.png", "--workers", "2"], "belong to --ray"),
        (["photo.png", "--limit", "1", "--report", "none/a.json"], "none/a.json cannot be written: there is no folder"),
        (["photo.png", "--overlay", "drawn"], "drawn cannot be written: its name must end in .png, .jpg"),
        (["photo.png", "--overlay", "none/drawn.png"], "none/drawn.png cannot be written: there is no folder none"),
        (["photo.png", "--overlay", "a.png", "--no-overlay"], "--overlay and --no-overlay contradict each other"),
        (["photo.png", "--label-map", "labels.jpg"], "labels.jpg cannot be written: its name must end in .png, .tif"),
        (["photo.png", "photo.png", "--label-map", "a.png"], "--label-map a.png is one file, and there are 2 images"),
        (["photo.png", "--json", "none/a.json"], "none/a.json cannot be written: there is no folder none"),
        (["photo.png", "--overlay", "./photo.png"], "photo.png is an image to be read, and would be overwritten"),
        (["photo.png", "--json", "photo.png"], "photo.png is an image to be read, and would be overwritten"),
        (["photo.png", "--overlay", "a.png", "--label-map", "a.png"], "a.png is named twice, and would be overwritten"),
        (["photo.png", "-o", "photo.png"], "photo.png is a file: name a folder"),
        (["photo.png", "--json", "."], ". is a folder: name a file"),
        (["photo.png", "--region", "9,9,5,20"], "is empty: x1 must be larger"),
        (["photo.png", "--region", "a,b,c,d"], "a region is written X0,Y0,X1,Y1"),
        (["photo.png", "--region", "0,0,nan,9"], "finite"),
        (["photo.png", "--points-per-side", "0"], "points_per_side is a whole number from 1 to 1024, not 0"),
        (["photo.png", "--box-nms-thresh", "70"], "box_nms_thresh is a number from 0 to 1, not 70"),
        (["photo.png", "--region", "1,2,3"], "a region is written X0,Y0,X1,Y1"),
        (["photo.png", "--region", "500,2,600,9"], "lies outside the image, which is 120 wide and 90 high"),
    ],
)
@pytest.mark.usefixtures("loaded")
def test_every_error_is_one_line(
    photo_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["anymask", "everything", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert [path.name for path in photo_path.parent.iterdir()] == ["photo.png"]
