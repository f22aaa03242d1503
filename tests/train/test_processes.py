"""Two real processes train as one, and stop together."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import build, configuration

from anymask.train import loop
from anymask.train.processes import Processes, ProcessLostError

TINY_RUN = Path(__file__).with_name("tiny_run.py")
VARIED = {"steps": 4, "batch_size": 5, "drop_path": 0.5, "layer_decay": 0.7, "dense_weight": 0.2}


def run_two(folder: Path, *jobs: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*start, str(TINY_RUN), str(folder), json.dumps(jobs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def run_one(kind: str, output: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(loop, "build_model", lambda _name, side: build(kind, side))
    assert loop.Trainer(configuration(str(output), **changes)).train()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes did: averaged, and trained a vision transformer in two parts a step, and a convolution."""
    folder = tmp_path_factory.mktemp("two")
    vit = {"kind": "vit", "output": str(folder / "vit"), "changes": {**VARIED, "accumulate": 2}}
    pocket = {"kind": "pocket", "output": str(folder / "pocket"), "changes": {"steps": 4}}
    done = run_two(folder, vit, pocket)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_average_and_agree_to_stop(two: Path) -> None:
    for rank in (0, 1):
        facts = json.loads((two / f"{rank}.json").read_text())
        assert facts["count"] == 2
        # The mean of 1, 2, 3 and its double; where one process had no gradient it counts as zero, and where none
        # had one there is none.
        assert facts["averaged"] == [[1.5, 3.0, 4.5], [[2.0, 2.0], [2.0, 2.0]], None]
        assert facts["stops"] == [False, True]


def test_alone_nothing_is_averaged():
    alone = Processes.join(torch.device("cpu"))
    value = torch.zeros(2, requires_grad=True)
    value.grad = torch.tensor([1.0, 2.0])
    assert (alone.rank, alone.count) == (0, 1)
    assert alone.average_gradients([value], stop=True)
    assert value.grad.tolist() == [1.0, 2.0]


def log_rows(folder: Path) -> list[dict[str, float]]:
    with (folder / "log.csv").open(newline="") as file:
        return [
            {key: float(value) for key, value in row.items() if key != "seconds" and value}
            for row in csv.DictReader(file)
        ]


def assert_same_run(first: Path, second: Path, rows: int = 4) -> None:
    """The same losses, IoUs and gradients in each step, and the same statistics and average in the end."""
    ones, others = log_rows(first), log_rows(second)
    assert len(ones) == len(others) == rows
    for one, other in zip(ones, others, strict=True):
        assert one == pytest.approx(other, rel=2e-5, abs=1e-6)
    states = [torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (first, second)]
    for part in ("model", "average"):
        for key, value in states[0][part].items():
            if "running_" in key:
                torch.testing.assert_close(states[1][part][key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_with_parts_train_as_one_without(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One process had three images of the five in parts of two and one, the other two.
    run_one("vit", tmp_path, monkeypatch, **VARIED)
    assert_same_run(two / "vit", tmp_path)


@pytest.mark.usefixtures("one_thread")
def test_batch_normalisation_is_that_of_all_images(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_one("pocket", tmp_path, monkeypatch, steps=4)
    assert_same_run(two / "pocket", tmp_path)


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_a_lost_process_ends_the_run_which_then_carries_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"kind": "vit", "output": str(tmp_path / "two"), "changes": VARIED}
    lost = run_two(tmp_path, {**job, "dies_at": 3})
    assert lost.returncode != 0
    assert "ProcessLostError: process 0 of 2 lost another one" in lost.stderr
    assert torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)["step"] == 2
    done = run_two(tmp_path, job)
    assert done.returncode == 0, done.stderr
    run_one("vit", tmp_path / "one", monkeypatch, **VARIED)
    assert_same_run(tmp_path / "two", tmp_path / "one")


def test_only_a_broken_exchange_is_a_lost_process() -> None:
    two = Processes(0, 2)
    with pytest.raises(ProcessLostError, match="process 0 of 2 lost another one"), two.together():
        raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(RuntimeError, match="shapes do not fit") as caught, two.together():
        raise RuntimeError("shapes do not fit")
    assert not isinstance(caught.value, ProcessLostError)
