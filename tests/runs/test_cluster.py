"""Runs on a cluster: every image once and the same as on one machine, whatever dies meanwhile."""

import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anymask.models.registry import build_model
from anymask.runs.cluster import ClusterOptions, _Batches, _choose_workers, _Workers, run_on_cluster
from anymask.runs.cluster_worker import DEATHS_IN_COMPANY, MOST_DEATHS, Ledger
from anymask.runs.errors import RunError
from anymask.runs.items import ImageFile, Item
from anymask.runs.job import Everything, Job, LoadedJob
from anymask.runs.local import LocalPipeline
from anymask.runs.outcome import Outcome
from anymask.runs.ray_connection import _loopback_only, import_ray
from anymask.segment.everything_settings import EverythingSettings
from anymask.segment.masks import Masks
from anymask.segment.segmenter import Segmenter
from anymask.train.synthetic import synthetic_scene

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    # Ray leaves files and sockets of its processes to the garbage collector, and announces what it will change.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURES = 24
SETTINGS = EverythingSettings(points_per_side=4)


@dataclass(frozen=True)
class Telling(Everything):
    """Everything mode that notes in a folder which process works on what; one image is deadly."""

    folder: str = ""
    deadly: str = ""

    def segment(self, segmenter: Segmenter, pixels: NDArray[np.uint8], item: Item) -> Masks:
        Path(self.folder, f"{os.getpid()} {item.key}").touch()
        if item.name == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().segment(segmenter, pixels, item)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Small pictures, one of which is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    found = []
    for number in range(PICTURES):
        path = folder / f"{number:02}.png"
        assert cv2.imwrite(str(path), synthetic_scene(number, 40, 56).image[..., ::-1])
        found.append(Item(path.name, path.stem, ImageFile(str(path))))
    Path(found[5].described_place()).write_bytes(b"no picture")
    return found


@pytest.fixture(scope="module")
def loaded() -> LoadedJob:
    return Job(Everything(SETTINGS), device="cpu", precision="float32").load()


@pytest.fixture(scope="module")
def expected(loaded: LoadedJob, items: list[Item]) -> dict[str, Outcome]:
    """What the pipeline of one machine makes of the items."""
    return {outcome.name: outcome for outcome in LocalPipeline(loaded).run(items)}


class SmallCluster:
    """Nodes with one processor each, and one without for what is not a worker."""

    def __init__(self) -> None:
        import_ray()
        from ray.cluster_utils import Cluster

        size = {"object_store_memory": 80 << 20}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **size})
        self.address: str = self.cluster.address
        self.nodes = [self.cluster.add_node(num_cpus=1, **size) for _ in range(2)]

    def lose_a_node(self) -> None:
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def shutdown(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[SmallCluster]:
    with ExitStack() as stack:
        stack.enter_context(_loopback_only())
        # Workers import the task of these tests as pytest does.
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[__name__.count(".")]))
        nodes = SmallCluster()
        stack.callback(nodes.shutdown)
        yield nodes


def telling(loaded: LoadedJob, folder: Path, deadly: str = "") -> LoadedJob:
    return LoadedJob(replace(loaded.job, task=Telling(SETTINGS, folder=str(folder), deadly=deadly)), loaded.segmenter)


def workers_seen(folder: Path) -> set[int]:
    return {int(path.name.split()[0]) for path in folder.iterdir()}


def collect(outcomes: Iterator[tuple[Item, Outcome]]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for item, outcome in outcomes:
        assert item.name == outcome.name
        assert outcome.name not in found, "came twice"
        found[outcome.name] = outcome
    return found


def test_a_killed_worker_loses_and_doubles_nothing(
    cluster: SmallCluster, loaded: LoadedJob, items: list[Item], expected: dict[str, Outcome], tmp_path: Path
) -> None:
    outcomes = run_on_cluster(telling(loaded, tmp_path), items, ClusterOptions(cluster.address))
    first = next(outcomes)
    killed, *_ = before = workers_seen(tmp_path)
    assert os.getpid() not in before
    os.kill(killed, signal.SIGKILL)
    found = collect(outcomes)
    assert first[1].name not in found
    assert {**found, first[1].name: first[1]} == expected
    assert expected[items[5].name].error is not None
    assert workers_seen(tmp_path) - before, "nobody took its place"


@pytest.mark.long
def test_an_image_that_kills_its_workers_is_recorded_and_the_rest_done(
    cluster: SmallCluster, loaded: LoadedJob, items: list[Item], expected: dict[str, Outcome], tmp_path: Path
) -> None:
    deadly = items[9].name
    found = collect(run_on_cluster(telling(loaded, tmp_path, deadly), items, ClusterOptions(cluster.address)))
    assert found.keys() == expected.keys()
    assert f"{MOST_DEATHS} worker processes died" in str(found[deadly].error)
    assert not found[deadly].expected
    assert {name for name in found if found[name] != expected[name]} == {deadly}


@pytest.mark.long
def test_a_caller_that_stops_asking_leaves_no_work_behind(
    cluster: SmallCluster, loaded: LoadedJob, items: list[Item], tmp_path: Path
) -> None:
    outcomes = run_on_cluster(telling(loaded, tmp_path), items, ClusterOptions(cluster.address))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert not import_ray().is_initialized()
    workers = workers_seen(tmp_path)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


@pytest.mark.long
def test_workers_wait_for_a_caller_that_is_slow(cluster: SmallCluster, loaded: LoadedJob, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "noise.png"), noise)
    items = [Item(f"{number}.png", str(number), ImageFile(str(tmp_path / "noise.png"))) for number in range(150)]
    seen = tmp_path / "seen"
    seen.mkdir()
    job = replace(telling(loaded, seen).job, with_pictures=True)
    outcomes = run_on_cluster(LoadedJob(job, loaded.segmenter), items, ClusterOptions(cluster.address))
    next(outcomes)
    begun, still = 0, 0
    while still < 10:
        time.sleep(1)
        now = len(list(seen.iterdir()))
        begun, still = now, still + 1 if now == begun else 0
    assert begun < 100, "results piled up"
    assert len(collect(outcomes)) == len(items) - 1


@pytest.mark.long
def test_weights_that_a_node_does_not_see_end_the_run(
    cluster: SmallCluster, random_segmenter: Segmenter, random_checkpoint: Path, items: list[Item], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(random_checkpoint.read_bytes())
    job = Job(Everything(SETTINGS), model=str(weights), device="cpu", precision="float32")
    loaded = job.load()
    weights.unlink()
    with pytest.raises(RunError, match=r"cannot load the model: .*weights\.safetensors"):
        collect(run_on_cluster(loaded, items, ClusterOptions(cluster.address)))
    other = LoadedJob(replace(job, model="pocket"), random_segmenter)
    with pytest.raises(RunError, match="pocket has other weights on"):
        collect(run_on_cluster(other, items, ClusterOptions(cluster.address)))


@pytest.mark.long
def test_a_lost_node_loses_and_doubles_nothing(
    cluster: SmallCluster, loaded: LoadedJob, items: list[Item], expected: dict[str, Outcome], tmp_path: Path
) -> None:
    outcomes = run_on_cluster(telling(loaded, tmp_path), items, ClusterOptions(cluster.address))
    first = next(outcomes)
    cluster.lose_a_node()
    assert {**collect(outcomes), first[1].name: first[1]} == expected


def descendants(of: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {of}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening_addresses(pids: set[int]) -> set[str]:
    """Local addresses in hexadecimal on which processes wait for connections."""
    sockets = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(path.readlink()))
            except OSError:
                continue
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_cluster_of_this_machine_is_out_of_reach_for_others_and_quiet(
    loaded: LoadedJob, items: list[Item], expected: dict[str, Outcome], capfd: pytest.CaptureFixture[str]
) -> None:
    before = descendants(os.getpid())
    outcomes = run_on_cluster(loaded, items[:6], ClusterOptions(cpus_per_worker=1, workers=1))
    first = next(outcomes)
    addresses = listening_addresses(descendants(os.getpid()))
    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    found = {**collect(outcomes), first[1].name: first[1]}
    assert found == {item.name: expected[item.name] for item in items[:6]}
    assert not import_ray().is_initialized()
    assert capfd.readouterr() == ("", "")
    deadline = time.monotonic() + 30
    while descendants(os.getpid()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not descendants(os.getpid()) - before


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:9", r"no Ray cluster at 127\.0\.0\.1:9: Connection refused"),
        ("head:port", "head:port is not the address"),
        ("127.0.0.1:99999", r"127\.0\.0\.1:99999 is not the address"),
    ],
)
def test_a_cluster_that_is_not_there(loaded: LoadedJob, items: list[Item], address: str, said: str) -> None:
    with pytest.raises(RunError, match=said):
        next(run_on_cluster(loaded, items, ClusterOptions(address)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers 0"),
        ({"workers": (3, 2)}, r"workers \(3, 2\)"),
        ({"cpus_per_worker": 0}, "0 processors"),
        ({"cpus_per_worker": float("nan")}, "nan processors"),
        ({"gpus_per_worker": -1}, "-1 GPUs"),
        ({"gpus_per_worker": 1.5}, "whole ones"),
        ({"address": "ray://head:10001"}, "ray://head:10001"),
    ],
)
def test_options_out_of_range(options: dict[str, object], said: str) -> None:
    with pytest.raises(RunError, match=said):
        ClusterOptions(**options)  # type: ignore[arg-type]


BIG, SMALL, WITH_GPUS = {"CPU": 64.0}, {"CPU": 1.0}, {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("nodes", "options", "device", "chosen"),
    [
        ([BIG, SMALL], {}, "auto", _Workers(16, 16, 4, 0)),
        ([SMALL, SMALL], {}, "auto", _Workers(2, 2, 1, 0)),
        ([{}, {"CPU": 2.0}], {}, "auto", _Workers(1, 1, 2, 0)),
        ([BIG], {"cpus_per_worker": 8}, "auto", _Workers(8, 8, 8, 0)),
        ([BIG], {"cpus_per_worker": 0.5, "workers": 3}, "auto", _Workers(3, 3, 0.5, 0)),
        ([SMALL], {"workers": (1, 40)}, "auto", _Workers(1, 40, 1, 0)),
        ([BIG, WITH_GPUS], {}, "auto", _Workers(4, 4, 4, 1)),
        ([BIG, WITH_GPUS], {}, "cpu", _Workers(24, 24, 4, 0)),
        ([WITH_GPUS], {"gpus_per_worker": 0.5}, "cuda", _Workers(8, 8, 4, 0.5)),
        ([{"CPU": 4.0, "GPU": 8.0}], {}, "cuda", _Workers(4, 4, 1, 1)),
        ([BIG], {"workers": 2}, "cuda", _Workers(2, 2, 1, 1)),
    ],
)
def test_workers_fit_the_nodes(
    nodes: list[dict[str, float]], options: dict[str, object], device: str, chosen: _Workers
) -> None:
    job = Job(Everything(), device=device)
    assert _choose_workers(nodes, ClusterOptions(**options), job) == chosen  # type: ignore[arg-type]


@pytest.mark.parametrize(("options", "device"), [({"cpus_per_worker": 65}, "auto"), ({}, "cuda")])
def test_no_room_for_a_worker(options: dict[str, float], device: str) -> None:
    with pytest.raises(RunError, match="no node of the cluster has the"):
        _choose_workers([BIG, SMALL], ClusterOptions(**options), Job(Everything(), device=device))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_batches_hold_each_image_once(size: int) -> None:
    items = [Item(f"{number}.jpg", str(number), ImageFile(f"/{number}.jpg")) for number in range(20)]
    numbers = range(4, 11)
    batches = _Batches(items, numbers, size)
    unpacked = [pickle.loads(batches[index]["batch"]) for index in range(len(batches))]
    assert all(1 <= len(batch) <= size for batch in unpacked)
    assert [entry for batch in unpacked for entry in batch] == [(number, items[number]) for number in numbers]


def test_the_ledger_finds_out_who_kills_workers() -> None:
    ledger = Ledger()
    for _ in range(DEATHS_IN_COMPANY):
        assert ledger.begin([1, 2, 3]) == set()
    ledger.end([1])
    assert ledger.begin([1, 2, 3]) == {2, 3}
    ledger.end([1])
    assert ledger.begin_alone(2) == DEATHS_IN_COMPANY
    ledger.end([2])
    for died in range(DEATHS_IN_COMPANY, MOST_DEATHS + 1):
        assert ledger.begin([1, 3]) == {3}
        ledger.end([1])
        assert ledger.begin_alone(3) == died
    assert ledger.begin([1, 2]) == set()


def test_the_ledger_counts_loads_that_did_not_end() -> None:
    ledger = Ledger()
    assert [ledger.begin_load("a"), ledger.begin_load("b"), ledger.begin_load("a")] == [0, 0, 1]
    ledger.end_load("a")
    assert [ledger.begin_load("a"), ledger.begin_load("b")] == [0, 1]


def test_the_settings_of_workers_do_not_depend_on_their_nodes(
    random_segmenter: Segmenter, random_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anymask.runs.cluster import _orders

    monkeypatch.chdir(random_checkpoint.parent)
    loaded = LoadedJob(Job(Everything(), model=random_checkpoint.name), random_segmenter)
    orders = _orders(loaded, _Workers(1, 1, 2.5, 0))
    assert (orders.job.model, orders.job.device, orders.job.precision) == (str(random_checkpoint), "cpu", "float32")
    assert (orders.threads, orders.weights) == (2, random_segmenter.weights_fingerprint)
    assert build_model("pocket") is not random_segmenter.network
    named = LoadedJob(Job(Everything(), device="cuda"), random_segmenter)
    orders = _orders(named, _Workers(1, 1, 0.5, 1))
    assert (orders.job.model, orders.job.device, orders.threads) == ("pocket", "cuda", 1)
