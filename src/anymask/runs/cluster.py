"""A run on many machines: images go to workers on a Ray cluster, and what became of them comes back to be written."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anymask.models.registry import MODELS
from anymask.runs.cluster_worker import FATAL, ClusterWorker, Ledger, WorkerOrders
from anymask.runs.errors import RunError
from anymask.runs.items import Item
from anymask.runs.job import Job, LoadedJob
from anymask.runs.outcome import Outcome
from anymask.runs.ray_connection import connected, import_ray, last_line, quiet

WINDOW = 20_000
"""Images that are with Ray at a time, so that its memory does not grow with the run."""
IMAGES_A_THREAD = 16
"""In a batch. At its end the threads of a worker wait for the slowest, so it must not be short."""
BATCHES_A_WORKER = 4
"""At least, so that all workers end at about the same time."""
CPUS_A_WORKER = 4
"""Each worker has a copy of the model, so there is not one for each processor."""
BATCHES_IN_FLIGHT = 2
"""A worker has one in hand and one waiting."""


@dataclass(frozen=True)
class ClusterOptions:
    """Where the workers are, how many, and with what.

    Attributes:
        address: "host:port" of a Ray cluster, "auto" for the one that this machine belongs to (or of
            ``$RAY_ADDRESS``), None for a cluster on this machine that is started and stopped with the run, or "any" for
            that of "auto" where there is one, else the other.
        workers: how many; (least, most) if the cluster grows and shrinks; None for as many as have room now.
        cpus_per_worker: processors of each; None for what suits the nodes, at most 4.
        gpus_per_worker: GPUs of each, 0.5 for two workers on a GPU; None for one each if the cluster has GPUs and the
            device is not "cpu".

    Raises:
        RunError: a number is out of its range.
    """

    address: str | None = None
    workers: int | tuple[int, int] | None = None
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        least, most = self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)
        if least is not None and most is not None and not 1 <= least <= most:
            raise RunError(f"workers {self.workers}: give a number from 1, or a least and a most, such as (2, 8)")
        if self.cpus_per_worker is not None and not self.cpus_per_worker > 0:
            raise RunError(f"{self.cpus_per_worker:g} processors per worker: give a number above 0, such as 4")
        if self.gpus_per_worker is not None and not self.gpus_per_worker >= 0:
            raise RunError(f"{self.gpus_per_worker:g} GPUs per worker: give 0 or more, such as 1 or 0.5")
        if self.gpus_per_worker is not None and self.gpus_per_worker > 1 and self.gpus_per_worker % 1:
            raise RunError(f"{self.gpus_per_worker:g} GPUs per worker: above 1 Ray gives whole ones only")
        if self.address is not None and "://" in self.address:
            raise RunError(
                f"cannot use {self.address}: Ray's client is not supported; give the cluster's host:port, or start the "
                "run on one of its nodes with the address auto"
            )


@dataclass(frozen=True)
class _Workers:
    """How many workers a cluster gets, and what each of them has."""

    least: int
    most: int
    cpus: float
    gpus: float


def run_on_cluster(
    loaded: LoadedJob, items: Sequence[Item], options: ClusterOptions | None = None
) -> Iterator[tuple[Item, Outcome]]:
    """Take images through a job on a Ray cluster.

    Yields each image once, in the order in which they are done. Workers send back what is to be written and write
    nothing, so that the nodes need to see the images and the model's weights, but not the output folder. When a worker
    or a node is lost, what it had in hand is done again by others; an image over which workers die again and again is
    recorded as failed. When the caller stops asking, the work on the cluster stops, and so does a cluster that was
    started here.

    Args:
        loaded: what is done, with the model in this process: workers use its precision, and must have its weights.
        items: the images.
        options: where; None for a cluster on this machine.

    Raises:
        MissingPackageError: Ray is not installed.
        RunError: the cluster cannot be reached, has no room for a worker, or a worker cannot load the model.
    """
    ray = import_ray()
    options = options or ClusterOptions()
    with connected(ray, options.address), quiet(ray):
        home = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        lasting = {"max_restarts": -1, "max_task_retries": -1}
        ledger = ray.remote(num_cpus=0, scheduling_strategy=home, **lasting)(Ledger).remote()
        for start in range(0, len(items), WINDOW):
            left: Sequence[int] = range(start, min(start + WINDOW, len(items)))
            while left:
                workers = _choose_workers(
                    [node["Resources"] for node in ray.nodes() if node["Alive"]], options, loaded.job
                )
                orders = _orders(loaded, workers)
                done: set[int] = set()
                for number, outcome in _outcomes(ray, items, left, workers, orders, ledger):
                    # A batch that is done again brings again what had come before.
                    if number not in done:
                        done.add(number)
                        yield items[number], outcome
                if not done:
                    raise RunError(
                        f"the cluster gave nothing back for {len(left):,} images: see Ray's logs; the same command "
                        "goes on when it is mended"
                    )
                left = [number for number in left if number not in done]


def _orders(loaded: LoadedJob, workers: _Workers) -> WorkerOrders:
    """Settle for all nodes what each would choose by itself."""
    job = loaded.job
    path = Path(job.model).expanduser()
    job = replace(
        job,
        model=str(path.absolute()) if job.model not in MODELS and path.exists() else job.model,
        # A worker without a GPU of its own must not take one that it sees.
        device="cpu" if job.device == "auto" and not workers.gpus else job.device,
        precision=str(loaded.segmenter.precision).removeprefix("torch."),
    )
    return WorkerOrders(job, loaded.segmenter.weights_fingerprint, max(1, int(workers.cpus)))


def _choose_workers(nodes: Sequence[Mapping[str, float]], options: ClusterOptions, job: Job) -> _Workers:
    """Fit workers into the nodes, whose processors and GPUs are under "CPU" and "GPU"."""
    gpus = options.gpus_per_worker
    if gpus is None:
        gpus = float(job.device.startswith("cuda") or (job.device == "auto" and any(node.get("GPU") for node in nodes)))
    lanes = [int(node.get("GPU", 0) / gpus) if gpus else 1 for node in nodes]
    cpus = options.cpus_per_worker
    if cpus is None:
        shares = [node.get("CPU", 0) // lane for node, lane in zip(nodes, lanes, strict=True) if lane]
        cpus = max(1.0, min(CPUS_A_WORKER, max(shares, default=0)))
    room = 0
    for node, lane in zip(nodes, lanes, strict=True):
        by_cpus = int(node.get("CPU", 0) / cpus)
        room += min(by_cpus, lane) if gpus else by_cpus
    if options.workers is None:
        if not room:
            wanted = f"{cpus:g} processors" + (f" and {gpus:g} GPUs" if gpus else "")
            raise RunError(
                f"no node of the cluster has the {wanted} of a worker: ask for less per worker, or name the number of "
                "workers to wait for nodes that come later"
            )
        return _Workers(room, room, cpus, gpus)
    least, most = options.workers if isinstance(options.workers, tuple) else (options.workers, options.workers)
    return _Workers(least, most, cpus, gpus)


class _Batches(Sequence[dict[str, Any]]):
    """Numbered images in batches, packed when they are asked for."""

    def __init__(self, items: Sequence[Item], numbers: Sequence[int], size: int) -> None:
        self._items, self._numbers, self._size = items, numbers, size

    def __len__(self) -> int:
        return -(-len(self._numbers) // self._size)

    def __getitem__(self, index: Any) -> Any:
        numbers = self._numbers[index * self._size : (index + 1) * self._size]
        return {"batch": pickle.dumps([(number, self._items[number]) for number in numbers])}


def _outcomes(
    ray: Any, items: Sequence[Item], numbers: Sequence[int], workers: _Workers, orders: WorkerOrders, ledger: Any
) -> Iterator[tuple[int, Outcome]]:
    share = -(-len(numbers) // (workers.most * BATCHES_A_WORKER))
    batches = _Batches(items, numbers, max(1, min(IMAGES_A_THREAD * orders.threads, share)))
    data = ray.data.from_items(batches, override_num_blocks=len(batches))
    # Each row is a block of its own, that is handed on at once and counted against the store's memory.
    data.context.target_max_block_size = 1
    # What a lost node took with it is found missing, and done again.
    data.context.max_errored_blocks = -1
    most = min(workers.most, len(batches))
    pool = ray.data.ActorPoolStrategy(
        min_size=min(workers.least, most), max_size=most, max_tasks_in_flight_per_actor=BATCHES_IN_FLIGHT
    )
    results = data.map_batches(
        ClusterWorker,
        batch_size=1,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=workers.cpus,
        num_gpus=workers.gpus,
        fn_constructor_args=(orders, ledger),
    )
    try:
        for rows in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for packed in rows["results"]:
                for number, outcome in pickle.loads(packed.as_py()):
                    if number == FATAL:
                        raise RunError(outcome.error)
                    yield number, outcome
    except (ray.exceptions.RayError, ray.data.exceptions.SystemException) as error:
        raise RunError(f"the cluster failed: {last_line(error)}; the same command goes on when it is mended") from error
