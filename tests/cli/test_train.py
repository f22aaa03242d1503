"""``anymask train``, as it is typed."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from anymask.cli import app, main
from anymask.models.sam import Sam
from anymask.train import loop


@pytest.fixture
def config(
    tmp_path: Path, tiny_coco: Path, build_tiny: Callable[..., Sam], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.setattr(loop, "build_model", lambda _name, side: build_tiny(side))
    path = tmp_path / "run.toml"
    path.write_text(f"""
output = "run"
device = "cpu"
precision = "float32"
log_every = 1
data = [{{kind = "coco", path = "{tiny_coco}", split = "all"}}]
[[phases]]
objective = "dense"
steps = 2
image_size = 64
batch_size = 1
""")
    yield path
    shutil.rmtree(tmp_path)


def test_a_run_writes_its_log_its_picture_and_its_weights(config: Path) -> None:
    done = CliRunner().invoke(app, ["train", str(config)], catch_exceptions=False)
    assert done.exit_code == 0
    run = config.parent / "run"
    assert f"trained; the weights are {run / 'model.safetensors'}" in done.stderr
    assert {path.name for path in run.iterdir()} == {
        "checkpoint.pt",
        "log.csv",
        "log.png",
        "model.safetensors",
    }
    assert len((run / "log.csv").read_text().splitlines()) == 3
    with Image.open(run / "log.png") as picture:
        assert picture.format == "PNG"
    assert "mask_decoder.iou_token.weight" in load_file(run / "model.safetensors")


def test_a_run_without_matplotlib_is_not_lost(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = CliRunner().invoke(app, ["train", str(config)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "no log.png: plots need matplotlib" in done.stderr
    assert "trained; the weights are" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"dense"', '"sparse"', "phases[0].objective must be one of dense, interactive"),
        ("log_every", "log_evry", "unknown key log_evry"),
        ('split = "all"', 'images = "nowhere"', "there is no folder"),
        ("path =", 'images = "nowhere", path =', "there is no folder"),
        ('"coco"', '"sa1b"', "holds no NAME.jpg"),
        ("batch_size = 1", "batch_size = 1\naugmentation = {min_area = 1e9}", "50 views in a row"),
    ],
)
def test_what_is_wrong_is_one_line(
    config: Path,
    old: str,
    new: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config.write_text(config.read_text().replace(old, new))
    monkeypatch.setattr(sys, "argv", ["anymask", "train", str(config)])
    with pytest.raises(SystemExit) as caught:
        main()
    text = str(caught.value.code)
    assert text.startswith("anymask: ")
    assert message in text
    assert "\n" not in text
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["anymask", "train", str(tmp_path / "none.yaml")])
    with pytest.raises(SystemExit, match=r"anymask: cannot read .*none\.yaml: No such file"):
        main()
