"""The picture of a training log."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymask.segment.errors import MissingPackageError
from anymask.train.plot import plot_log

HEADER = "phase,step,seconds,rate,loss,first_iou,box_iou,last_iou,iou_error,gradient\n"
ROWS = "0,2,1.0,1e-3,0.9,0.1,,,,1\n0,4,2.0,1e-3,0.7,0.2,,,,1\n1,2,3.0,1e-4,0.5,0.3,0.4,0.5,0.1,1\n"


def test_a_log_becomes_a_picture(tmp_path: Path) -> None:
    log, picture = tmp_path / "log.csv", tmp_path / "log.png"
    log.write_text(HEADER + ROWS)
    plot_log(log, picture)
    first = np.asarray(Image.open(picture).convert("RGB"))
    assert first.shape[1] > 500
    assert first.std() > 5
    log.write_text(HEADER + ROWS.replace("0.7", "0.2"))
    plot_log(log, picture)
    assert not np.array_equal(first, np.asarray(Image.open(picture).convert("RGB")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "log.png"]


def test_without_rows_there_is_no_picture(tmp_path: Path) -> None:
    plot_log(tmp_path / "log.csv", tmp_path / "log.png")
    (tmp_path / "log.csv").write_text(HEADER)
    plot_log(tmp_path / "log.csv", tmp_path / "log.png")
    assert not (tmp_path / "log.png").exists()


def test_a_missing_matplotlib_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'anymask\[train\]'"):
        plot_log(tmp_path / "log.csv", tmp_path / "log.png")
