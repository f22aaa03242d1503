"""What runs on the nodes of a cluster: workers that hold the model, and a ledger of what they have in hand."""

from __future__ import annotations

import pickle
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import torch

from anymask.errors import AnymaskError
from anymask.runs.items import Item
from anymask.runs.job import Job
from anymask.runs.local import LocalPipeline
from anymask.runs.outcome import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

DEATHS_IN_COMPANY = 2
"""An image that was in hand so often when its worker died is then taken alone, to see whose fault it is."""
MOST_DEATHS = 4
"""When so many workers have died over an image, it is recorded as failed."""
MOST_FAILED_LOADS = 3
"""When a worker has died so often while it loaded the model, the run ends."""
IMAGES_A_ROW = 8
"""What a worker hands on at a time: Ray takes milliseconds for each, as long as a small image may take."""
FATAL = -1
"""The number of a result that tells why no worker can go on."""

Numbered = tuple[int, Outcome]


class Ledger:
    """Knows which images are in hand, so that one that kills its worker is found out; lives beside the driver."""

    def __init__(self) -> None:
        self._tries: Counter[int] = Counter()
        self._loads: Counter[str] = Counter()

    def begin_load(self, worker: str) -> int:
        """Note that a worker begins to load the model; say how often it began before and did not end."""
        self._loads[worker] += 1
        return self._loads[worker] - 1

    def end_load(self, worker: str) -> None:
        """Note that a worker has loaded the model."""
        self._loads.pop(worker, None)

    def begin(self, numbers: Iterable[int]) -> set[int]:
        """Note that images are in hand together, but for those that must be taken alone, which are returned."""
        suspects = set()
        for number in numbers:
            if self._tries[number] >= DEATHS_IN_COMPANY:
                suspects.add(number)
            else:
                self._tries[number] += 1
        return suspects

    def begin_alone(self, number: int) -> int:
        """Note that a worker has nothing but this image in hand; say how many workers died over it before."""
        self._tries[number] += 1
        return self._tries[number] - 1

    def end(self, numbers: Iterable[int]) -> None:
        """Note that images are done."""
        for number in numbers:
            self._tries.pop(number, None)


@dataclass(frozen=True)
class WorkerOrders:
    """What a worker is to do.

    Attributes:
        job: what is done to each image.
        weights: the fingerprint of the model's weights.
        threads: for tensor operations on a processor.
    """

    job: Job
    weights: str
    threads: int


class ClusterWorker:
    """Loads the model once, and takes batches of images through the local pipeline.

    Nothing is raised here, because it would look like a broken worker: what is not one image's fault comes out with the
    number :data:`FATAL`.

    Args:
        orders: what to do.
        ledger: a handle of the :class:`Ledger`.
    """

    def __init__(self, orders: WorkerOrders, ledger: Any) -> None:
        self._ledger = ledger
        self._pipeline: LocalPipeline | None = None
        self._fatal = ""
        try:
            self._load(orders)
        except Exception as error:
            said = "" if isinstance(error, AnymaskError | OSError) else f"{type(error).__name__}: "
            self._fatal = f"a worker on {socket.gethostname()} cannot load the model: {said}{error}"

    def _load(self, orders: WorkerOrders) -> None:
        import ray

        worker = ray.get_runtime_context().get_actor_id()
        died = ray.get(self._ledger.begin_load.remote(worker))
        if died >= MOST_FAILED_LOADS:
            self._fatal = (
                f"a worker, last on {socket.gethostname()}, died {died} times while it loaded the model: most likely "
                "there is too little memory; give workers more processors each, so that fewer are on a node"
            )
            return
        torch.set_num_threads(orders.threads)
        loaded = orders.job.load()
        if loaded.segmenter.weights_fingerprint != orders.weights:
            self._fatal = (
                f"{orders.job.model} has other weights on {socket.gethostname()} than where the run was started: put "
                "the same file on all nodes, or name one that all of them see"
            )
            return
        self._pipeline = LocalPipeline(loaded)
        self._ledger.end_load.remote(worker)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield rows of a few images each, in the order of the batch, as soon as they are known.

        A batch whose worker died is done again from its beginning; rows that were handed on before are then dropped by
        their place, so each must hold the same images as before.
        """
        for packed in rows["batch"]:
            results = self._results(pickle.loads(packed.as_py()))
            while row := list(islice(results, IMAGES_A_ROW)):
                yield _pack(row)

    def _results(self, batch: Sequence[tuple[int, Item]]) -> Iterator[Numbered]:
        if self._pipeline is None:
            yield FATAL, Outcome("", error=self._fatal, expected=False)
            return
        try:
            yield from self._run(batch, self._pipeline)
        except Exception as error:
            reason = f"a worker on {socket.gethostname()} failed: {type(error).__name__}: {error}"
            yield FATAL, Outcome("", error=reason, expected=False)

    def _run(self, batch: Sequence[tuple[int, Item]], pipeline: LocalPipeline) -> Iterator[Numbered]:
        import ray

        # Waited for, so that it is noted even if the first image kills this process at once.
        suspects = ray.get(self._ledger.begin.remote([number for number, _ in batch]))
        for alone, group in groupby(batch, lambda entry: entry[0] in suspects):
            part = list(group)
            if not alone:
                outcomes = pipeline.run(item for _, item in part)
                for (number, _), outcome in zip(part, outcomes, strict=True):
                    self._ledger.end.remote([number])
                    yield number, outcome
                continue
            for number, item in part:
                died = ray.get(self._ledger.begin_alone.remote(number))
                if died >= MOST_DEATHS:
                    yield number, _deadly(item, died)
                    continue
                (outcome,) = pipeline.run([item])
                self._ledger.end.remote([number])
                yield number, outcome


def _deadly(item: Item, died: int) -> Outcome:
    reason = f"{died} worker processes died while they worked on it: out of memory, or a crash in a library"
    return Outcome(item.name, error=reason, expected=False)


def _pack(results: list[Numbered]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"results": pa.array([pickle.dumps(results, protocol=pickle.HIGHEST_PROTOCOL)], pa.large_binary())})
