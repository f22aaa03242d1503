"""``anymask segment``, as it is typed."""

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
from anymask.segment.prompts import Prompt
from anymask.segment.segmenter import Segmenter
from anymask.train.synthetic import synthetic_scene

OPTIONS = ["--device", "cpu", "--precision", "float32"]


@pytest.fixture
def photo_path(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(synthetic_scene(3, 90, 120).image).save(path)
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["segment", *map(str, arguments)], catch_exceptions=False)


def records(text: str) -> Masks:
    record = json.loads(text)
    return Masks.from_coco(record["masks"], (record["height"], record["width"]))


def in_a_process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from anymask.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


def test_json_on_standard_output_and_nothing_else(
    photo_path: Path, random_checkpoint: Path, random_segmenter: Segmenter
) -> None:
    command = ["segment", photo_path, "-p", "60,45", "--json", "-", "--model", random_checkpoint, *OPTIONS]
    done = in_a_process(*command, cwd=photo_path.parent)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = records(done.stdout)
    expected = random_segmenter.encode(photo_path).segment(points=(60, 45))
    assert found.decode().shape == (3, 90, 120)
    assert (found.decode() != expected.decode()).mean() < 1e-3
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert json.loads(done.stdout)["prompts"] == [{"points": [[60, 45]], "labels": [1]}]
    assert not (photo_path.parent / "out").exists()


def test_an_error_is_one_line_on_standard_error(tmp_path: Path) -> None:
    done = in_a_process("segment", tmp_path / "none.png", "-p", "1,1", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"anymask: there is no image at {tmp_path / 'none.png'}\n"


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        ("none.png", ["-p", "1,1"], "there is no image at"),
        (".", ["-p", "1,1"], "is a directory, not an image"),
        ("broken.png", ["-p", "1,1"], "broken.png is broken or incomplete"),
        ("text.png", ["-p", "1,1"], "text.png cannot be read: not an image of a known format"),
        ("empty.png", ["-p", "1,1"], "empty.png is empty"),
        ("photo.png", [], "nothing to segment: give --point"),
        ("photo.png", ["-p", "here"], "a point is written X,Y"),
        ("photo.png", ["-p", "500,5"], "the point (500, 5) is outside the image, which is 120 wide and 90"),
        ("photo.png", ["-p", "-5,3"], "the point (-5, 3) is outside the image"),
        ("photo.png", ["-b", "1,2,3"], "a box is written X0,Y0,X1,Y1"),
        ("photo.png", ["-b", "9,9,2,2"], "is empty: x1 must be larger than x0"),
        ("photo.png", ["-m", "none.png"], "cannot read the mask prompt"),
        ("photo.png", ["-b", "1,1,9,9", "-b", "2,2,9,9", "-p", "3,3"], "unclear to which"),
        ("photo.png", ["-p", "1,1", "--model", "vit_x"], "unknown model 'vit_x'"),
        ("photo.png", ["-p", "1,1", "--model", "none.pth"], "no checkpoint at none.pth"),
        ("photo.png", ["-p", "1,1", "--model", "empty.png"], "empty.png is empty; download"),
        ("photo.png", ["-p", "1,1", "--device", "abacus"], "unknown device 'abacus'"),
        ("photo.png", ["-p", "1,1", "--precision", "double"], "unknown precision 'double'"),
        ("photo.png", ["-p", "1,1", "--json", "none/a.json"], "cannot read or write"),
        ("photo.png", ["-p", "1,1", "-o", "text.png"], "cannot read or write text.png"),
    ],
)
def test_every_error_is_one_line(
    photo_path: Path,
    image: str,
    arguments: list[str],
    message: str,
    random_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = photo_path.parent
    monkeypatch.chdir(folder)
    Path("broken.png").write_bytes(photo_path.read_bytes()[:2000])
    Path("text.png").write_text("not an image at all")
    Path("empty.png").touch()
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(random_checkpoint)]
    monkeypatch.setattr(sys, "argv", ["anymask", "segment", image, *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    # A text as the exit code is printed on standard error, and the code is 1.
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert capsys.readouterr() == ("", "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "broken.png",
        "empty.png",
        "photo.png",
        "text.png",
    ]


def test_the_folder_holds_the_masks(photo_path: Path, loaded: Segmenter) -> None:
    folder = photo_path.parent / "results"
    done = run(photo_path, "-p", "60,45", "-p", "10,10:bg", "-b", "30,20,90,70", "--multimask", "-o", folder)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "3 masks, " in done.stderr
    expected = loaded.encode(photo_path).segment([(60, 45), (10, 10)], [1, 0], (30, 20, 90, 70), multimask=True)
    for index, mask in enumerate(expected.decode()):
        pixels = np.asarray(Image.open(folder / f"photo-mask-{index}.png"))
        np.testing.assert_array_equal(pixels, mask * 255)
        assert f"photo-mask-{index}.png  predicted IoU {expected.scores[index]:.2f}" in done.stderr
    record = json.loads((folder / "photo.json").read_text())
    np.testing.assert_array_equal(records(json.dumps(record)).decode(), expected.decode())
    for entry in [record["overlay"], *(entry["mask_file"] for entry in record["masks"])]:
        assert (folder / entry).is_file()
    with Image.open(folder / "photo-overlay.png") as overlay:
        assert overlay.size == (120, 90)


def test_the_folder_is_called_out(photo_path: Path, loaded: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    del loaded
    monkeypatch.chdir(photo_path.parent)
    assert run("photo.png", "-b", "30,20,90,70").exit_code == 0
    assert Path("out/photo.json").is_file()
    assert len(list(Path("out").glob("photo-mask-*.png"))) == 1


def test_json_into_a_file_makes_no_folder(photo_path: Path, loaded: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photo_path.parent)
    assert run("photo.png", "-b", "30,20,90,70", "--json", "a.json").stdout == ""
    expected = loaded.encode(photo_path).segment(box=(30, 20, 90, 70))
    np.testing.assert_array_equal(records(Path("a.json").read_text()).decode(), expected.decode())
    assert not Path("out").exists()


def test_objects_apart(photo_path: Path, loaded: Segmenter) -> None:
    photo = loaded.encode(photo_path)
    boxes = [(30, 20, 90, 70), (5, 5, 40, 40)]
    two = records(run(photo_path, "-b", "30,20,90,70", "-b", "5,5,40,40", "--json", "-").stdout)
    expected = photo.segment_many([Prompt(box=box) for box in boxes])
    np.testing.assert_array_equal(two.decode(), expected.decode())
    arguments = ["-p", "60,45", "-p", "20,20", "-b", "5,5,40,40", "--separate", "--single", "--json", "-"]
    done = run(photo_path, *arguments)
    prompts = [Prompt(points=(60, 45)), Prompt(points=(20, 20)), Prompt(box=boxes[1])]
    expected = photo.segment_many(prompts, multimask=False)
    np.testing.assert_array_equal(records(done.stdout).decode(), expected.decode())
    assert [entry["prompt"] for entry in json.loads(done.stdout)["masks"]] == [0, 1, 2]


def test_a_mask_file_is_refined(photo_path: Path, loaded: Segmenter) -> None:
    mask = np.zeros((90, 120), bool)
    mask[20:70, 30:90] = True
    path = photo_path.parent / "mask.png"
    Image.fromarray(mask).save(path)
    done = run(photo_path, "--mask", path, "--json", "-")
    expected = loaded.encode(photo_path).segment(mask=mask)
    np.testing.assert_array_equal(records(done.stdout).decode(), expected.decode())
    assert json.loads(done.stdout)["prompts"] == [{"mask": str(path)}]


def test_pictures_of_every_kind(photo_path: Path, loaded: Segmenter) -> None:
    del loaded
    picture = Image.open(photo_path).convert("RGB")
    folder = photo_path.parent
    turned = picture.getexif()
    turned[0x0112] = 6
    sixteen = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    kinds: dict[str, tuple[Image.Image, dict[str, Any], tuple[int, int]]] = {
        "turned.jpg": (picture, {"exif": turned}, (120, 90)),
        "grey.png": (picture.convert("L"), {}, (90, 120)),
        "palette.png": (picture.convert("P"), {}, (90, 120)),
        "alpha.png": (picture.convert("RGBA"), {}, (90, 120)),
        "sixteen.png": (sixteen, {}, (90, 120)),
        "flat.png": (picture.resize((40, 1)), {}, (1, 40)),
    }
    for name, (image, options, size) in kinds.items():
        image.save(folder / name, **options)
        done = run(folder / name, "-b", "0,0,40,90", "--json", "-")
        assert done.exit_code == 0, name
        assert records(done.stdout).decode().shape == (1, *size), name


def test_help_and_version() -> None:
    for arguments in (["--help"], ["segment", "-h"], ["train", "-h"]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0
        assert "Usage" in done.output
    assert CliRunner().invoke(app, ["--version"]).output == "anymask 0.1.0\n"
