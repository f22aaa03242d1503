"""The background worker: embeddings and proposals of a project's pictures, computed before they are asked for."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from anymask.models.freed_memory import give_back_freed_memory
from anymask.segment.encoded import EncodedImage
from anymask.segment.errors import ImageError
from anymask.segment.everything import EverythingStoppedError
from anymask.segment.frame import Frame
from anymask.segment.masks import Masks
from anymask.segment.pixels import image_size
from anymask.segment.segmenter import Segmenter
from anymask.segment.workers import limit_this_thread
from anymask.studio.agenda import Agenda, Task, Urgency, Work
from anymask.studio.disk_cache import DiskCache
from anymask.studio.errors import NotHereError, PictureError
from anymask.studio.picture_files import PictureFile
from anymask.studio.stepping_back import PatientStop, step_back

_log = logging.getLogger(__name__)

_SHARE_OF_CACHE = 0.7
"""Of the cache's room, what pictures may take that nobody has asked for yet."""
_BYTES_OF_PROPOSALS = 100_000
_LEAST_REACH = 4
_LARGE_PICTURE = 20_000_000

_VERSION = {Work.EMBEDDING: 1, Work.PROPOSALS: 1}
"""Counted up when what is kept changes its form."""


class BackgroundEncoder:
    """Computes one thing after the other on a thread of its own, what somebody waits for first.

    Args:
        find: the file of a picture, by its number; raises PictureError.
        cache: for the results.
        measured: told a picture's number, width and height in pixels when it is encoded.
    """

    def __init__(
        self,
        find: Callable[[int], PictureFile],
        cache: DiskCache,
        measured: Callable[[int, int, int], object] = lambda *_: None,
    ) -> None:
        self._find, self._cache, self._measured = find, cache, measured
        self._agenda = Agenda(self._is_settled, _LEAST_REACH)
        self._changed = threading.Condition(threading.RLock())
        self._segmenter: Segmenter | None = None
        self._files: dict[int, PictureFile | PictureError] = {}
        self._names: dict[tuple[int, Work], str] = {}
        self._failures: dict[str, str] = {}
        self._waiting: dict[tuple[int, Work], list[Future[None]]] = {}
        self._running: Task | None = None
        self._stop = PatientStop(lambda: self._is_awaited(self._running))
        self._rest_until = 0.0
        self._closing = self._held = False
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)

    def start(self, segmenter: Segmenter) -> None:
        """Begin, now that there is a model."""
        with self._changed:
            self._segmenter = segmenter
            self._set_reach()
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Stop within and between tasks; tells whether that was done before so many seconds had passed."""
        with self._changed:
            self._closing = True
            self._stop.set()
            for picture, work in list(self._waiting):
                self._let_go(picture, work)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def hold(self, held: bool) -> None:
        """Do only what somebody waits for, because the processor is needed for something else; or all again."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    def set_pictures(self, pictures: Sequence[int]) -> None:
        """Take the pictures of the project, in the order of the list."""
        with self._changed:
            self._agenda.set_pictures(pictures)
            self._reconsider()

    def open(self, picture: int) -> None:
        """Make a picture the current one; what failed with it is tried again."""
        with self._changed:
            self._look_again(picture)
            for work in Work:
                name = self._name(picture, work)
                if name is not None:
                    self._failures.pop(name, None)
            self._agenda.open(picture)
            self._cache.keep_too(self._all_names([picture], list(Work)))
            self._reconsider()

    def ask(self, picture: int, work: Work, urgent: bool) -> Future[None]:
        """Ask for something; the future is done when it is, or has failed, or the server ends.

        Whoever asks calls :meth:`give_up` in the end.
        """
        future: Future[None] = Future()
        with self._changed:
            self._look_again(picture)
            self._agenda.wait(picture, work, urgent)
            self._cache.keep_too(self._all_names([picture], [work]))
            if self._closing or self._is_settled(picture, work):
                future.set_result(None)
            else:
                self._waiting.setdefault((picture, work), []).append(future)
                self._reconsider()
        return future

    def give_up(self, picture: int, work: Work, urgent: bool, future: Future[None]) -> None:
        """Wait no more for what :meth:`ask` asked for."""
        with self._changed:
            self._agenda.give_up(picture, work, urgent)
            futures = self._waiting.get((picture, work), [])
            if future in futures:
                futures.remove(future)
            if not futures:
                self._waiting.pop((picture, work), None)

    def result(self, picture: int, work: Work) -> tuple[str, bytes] | None:
        """Return what was computed, with a name that tells it from any other; None where it is not there yet.

        Raises:
            PictureError: it cannot be computed.
        """
        with self._changed:
            name = self._name(picture, work)
            found = self._files.get(picture)
            if isinstance(found, PictureError):
                raise found
            if name is None:
                return None
            if name in self._failures:
                raise PictureError(self._failures[name])
        data = self._cache.get(name)
        if data is None:
            with self._changed:
                self._changed.notify_all()
        return None if data is None else (name, data)

    def encoding(self) -> list[int]:
        """The pictures being encoded now."""
        running = self._running
        return [running.picture] if running is not None and running.work is Work.EMBEDDING else []

    def waiting(self) -> int:
        """Count the pictures that wait to be encoded."""
        with self._changed:
            return 0 if self._segmenter is None else self._agenda.waiting()

    def encoded(self, pictures: Sequence[int]) -> int:
        """Count the pictures whose embedding is there."""
        return sum(name in self._cache for name in self._all_names(pictures, [Work.EMBEDDING]))

    def _let_go(self, picture: int, work: Work) -> None:
        """Tell those who wait for something to look again."""
        for future in self._waiting.pop((picture, work), []):
            future.set_result(None)

    def _look_again(self, picture: int) -> None:
        """Find a picture's file anew, because it may have changed."""
        try:
            found: PictureFile | PictureError = self._find(picture)
        except PictureError as error:
            found = error
        except NotHereError as error:
            found = PictureError(str(error))
        if found != self._files.get(picture):
            self._files[picture] = found
            for work in Work:
                self._names.pop((picture, work), None)

    def _name(self, picture: int, work: Work) -> str | None:
        """Name a result in the cache; None where the picture has no file, or there is no model yet."""
        name = self._names.get((picture, work))
        if name is None and self._segmenter is not None:
            if picture not in self._files:
                self._look_again(picture)
            file = self._files[picture]
            if isinstance(file, PictureFile):
                model, side = self._segmenter, self._segmenter.input_side
                weights = model.fingerprint if work is Work.EMBEDDING else model.weights_fingerprint
                name = f"{file.key(weights, side, model.precision, _VERSION[work])}.{work}"
                self._names[picture, work] = name
        return name

    def _all_names(self, pictures: Iterable[int], works: Sequence[Work]) -> set[str]:
        """Name results of many pictures, without keeping others waiting while files are looked at."""
        names: set[str] = set()
        for picture in pictures:
            with self._changed:
                names.update(name for work in works if (name := self._name(picture, work)) is not None)
        return names

    def _is_settled(self, picture: int, work: Work) -> bool:
        name = self._name(picture, work)
        if name is None:
            return isinstance(self._files.get(picture), PictureError)
        return name in self._cache or name in self._failures

    def _reconsider(self) -> None:
        """Wake the worker, and stop it where something else has become more urgent than what it does."""
        running = self._running
        if running is not None and running.work is Work.PROPOSALS:
            best = self._agenda.next()
            if best is not None and best.urgency < running.urgency:
                self._stop.set()
        self._changed.notify_all()

    def _work(self) -> None:
        cores = torch.get_num_threads()
        at_once = ThreadPoolExecutor(1, "encoder now", limit_this_thread, (cores,))
        ahead = ThreadPoolExecutor(1, "encoder ahead", step_back, (max(1, cores - 1),))
        try:
            while (chosen := self._choose()) is not None:
                if chosen[0].urgency <= Urgency.NEXT:
                    at_once.submit(self._do, *chosen).result()
                else:
                    ahead.submit(self._do, *chosen).result()
                    self._rest_until = time.monotonic() + ahead.submit(self._stop.rest).result()
        finally:
            at_once.shutdown()
            ahead.shutdown()

    def _choose(self) -> tuple[Task, PictureFile, str] | None:
        """Wait for the next task, with its file and the name of its result; None when all is to end."""
        with self._changed:
            while True:
                rest = self._rest_until - time.monotonic()
                task = None if self._closing else self._next(rest > 0)
                if self._closing or task is not None:
                    break
                self._changed.wait(rest if rest > 0 else None)
            if task is None:
                return None
            file, name = self._files[task.picture], self._name(task.picture, task.work)
            assert isinstance(file, PictureFile)
            assert name is not None
            self._running = task
            self._stop.clear()
            self._set_reach()
            needed = self._agenda.needed()
        self._cache.keep(self._all_names(needed, list(Work)))
        return task, file, name

    def _next(self, rests: bool) -> Task | None:
        task = self._agenda.next()
        waits = self._held or (rests and not self._is_awaited(task))
        return None if task is not None and waits and task.urgency > Urgency.NEXT else task

    def _is_awaited(self, task: Task | None) -> bool:
        return task is not None and (task.picture, task.work) in self._waiting

    def _set_reach(self) -> None:
        assert self._segmenter is not None
        encoder = self._segmenter.prompt_encoder
        rows, columns = encoder.image_embedding_size
        per_picture = 2 * encoder.embed_dim * rows * columns + _BYTES_OF_PROPOSALS
        self._agenda.reach = max(_LEAST_REACH, int(self._cache.capacity * _SHARE_OF_CACHE / per_picture))

    def _do(self, task: Task, file: PictureFile, name: str) -> None:
        """Do one task, and tell those who wait for it."""
        reason: str | None = None
        data: bytes | None = None
        try:
            data = (
                self._encode(task.picture, file) if task.work is Work.EMBEDDING else self._propose(task.picture, file)
            )
        except EverythingStoppedError:
            pass
        except (ImageError, PictureError) as error:
            reason = " ".join(str(error).split())
        except Exception as error:
            # One picture, or a device that is out of memory, must not end the work on all others.
            reason = f"{file.path.name} cannot be encoded: {' '.join(str(error).split()) or type(error).__name__}"
            _log.error("%s", reason)
        with self._changed:
            self._look_again(task.picture)
            if self._files[task.picture] != file:
                # It was replaced meanwhile: what was computed may be of either.
                data = reason = None
        if data is not None:
            self._cache.put(name, data)
        with self._changed:
            self._running = None
            if reason is not None:
                self._failures[name] = reason
            # Where the file has gone meanwhile, there is nothing to wait for any more.
            if data is not None or self._is_settled(task.picture, task.work):
                self._let_go(task.picture, task.work)
            self._changed.notify_all()

    def _encode(self, picture: int, file: PictureFile) -> bytes:
        """Compute an embedding, as float16, little-endian ``[1, C, g, g]``."""
        assert self._segmenter is not None
        encoded = self._segmenter.encode(file.path)
        embedding = encoded.embedding.cpu().numpy()
        height, width = encoded.size
        del encoded
        self._measured(picture, width, height)
        if height * width > _LARGE_PICTURE:
            give_back_freed_memory()
        halved = embedding.astype("<f2")
        if not np.isfinite(halved).all():
            raise PictureError(f"{file.path.name} cannot be encoded: its embedding has numbers beyond float16")
        return halved.tobytes()

    def _propose(self, picture: int, file: PictureFile) -> bytes | None:
        """Find all masks of a picture, as JSON of a list of proposals without their ids.

        Returns:
            None if the embedding has gone from the cache: it is made again, and then this.
        """
        assert self._segmenter is not None
        with self._changed:
            name = self._name(picture, Work.EMBEDDING) or ""
            if name in self._failures:
                raise PictureError(self._failures[name])
        data = self._cache.get(name)
        if data is None:
            return None
        height, width = image_size(file.path)
        frame = Frame(height, width, self._segmenter.input_side)
        embedding = torch.from_numpy(np.frombuffer(data, "<f2").astype(np.float32))
        encoder = self._segmenter.prompt_encoder
        shaped = embedding.reshape(1, encoder.embed_dim, *encoder.image_embedding_size)
        encoded = EncodedImage(self._segmenter, shaped.to(self._segmenter.device), frame)
        return json.dumps(_to_proposals(encoded.segment_everything(stop=self._stop))).encode()


def _to_proposals(masks: Masks) -> list[dict[str, object]]:
    assert masks.scores is not None
    assert masks.stability is not None
    assert masks.points is not None
    return [
        {
            "counts": masks.rles[index]["counts"].decode(),
            "score": float(masks.scores[index]),
            "stability": float(masks.stability[index]),
            "area": int(masks.areas[index]),
            "point": masks.points[index].tolist(),
        }
        for index in range(len(masks))
    ]
