"""A run: every image of a list through a job, with what is done kept, whatever happens."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anymask.atomic import remove_leftovers, write_atomically
from anymask.formats.annotated import AnnotatedImage, FormatError, Losses
from anymask.formats.registry import find_format
from anymask.formats.sa1b import sa1b_masks
from anymask.runs.errors import InputsError, RunError
from anymask.runs.inputs import select_shard
from anymask.runs.items import Item
from anymask.runs.job import Job, LoadedJob
from anymask.runs.journal import Journal
from anymask.runs.local import LocalPipeline
from anymask.runs.outcome import Outcome, failure

MANIFEST = "manifest.jsonl"
_ERRORS_OF_NAMES = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)
"""What systems say of a name that cannot be a file's here: too long, or taken by a folder or a file above it."""
UNEXPECTED_IN_A_ROW = 20
"""When so many images in a row fail by errors that no bad image causes, something else is wrong, and the run stops."""

Backend = Callable[[LoadedJob, Sequence[Item]], Iterator[tuple[Item, Outcome]]]
"""Takes images through a job and yields what became of each, in any order, each once."""


@dataclass
class Report:
    """What a run has done; told to the caller after each image, and in the end.

    Attributes:
        images: images of the run, or of its shard.
        done_before: of these, done by an earlier start.
        done: done now.
        masks: masks of all images that are done.
        failures: why images failed now, by their names.
        losses: masks that lost what the format cannot hold, by what was written instead.
        seconds: time since the first image was begun.
        joined: the file or folder made of all images, if one was.
        complete: every image of the run, shards of others included, is done or has failed.
    """

    images: int = 0
    done_before: int = 0
    done: int = 0
    masks: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    seconds: float = 0.0
    joined: Path | None = None
    complete: bool = False

    @property
    def left(self) -> int:
        """Images that were not looked at yet."""
        return max(0, self.images - self.done_before - self.done - len(self.failures))

    @property
    def rate(self) -> float:
        """Images a second, of those looked at now."""
        return (self.done + len(self.failures)) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Give the report for JSON."""
        return {
            "images": self.images,
            "done_before": self.done_before,
            "done": self.done,
            "failed": len(self.failures),
            "left": self.left,
            "masks": self.masks,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.rate, 3),
            "complete": self.complete,
            "joined": None if self.joined is None else str(self.joined),
            "losses": dict(self.losses.counts),
            "failures": self.failures,
        }


def run_locally(loaded: LoadedJob, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
    """Take images through a job on this machine, in order."""
    yield from zip(items, LocalPipeline(loaded).run(items), strict=True)


def run(
    job: Job,
    items: Sequence[Item],
    folder: Path,
    *,
    shard: tuple[int, int] | None = None,
    restart: bool = False,
    backend: Backend = run_locally,
    progress: Callable[[Report], object] | None = None,
) -> Report:
    """Take images through a job, and go on where an earlier run with the same folder stopped.

    Every image's results are whole or not there, and the same whether the run was interrupted or not. Images that
    failed before are tried again. When every image has been looked at, ``manifest.jsonl`` says what became of each, in
    the order of ``items``, and formats that are one file are written.

    Args:
        job: what is done.
        items: all images of the run.
        folder: for the results.
        shard: (index, count): only this part of the images, index counting from 1; the parts may run at the same time.
        restart: forget what was done before.
        backend: who does it.
        progress: called with the report before the first image and after each.

    Raises:
        RunError: the folder belongs to another run or is in use, the disk is full, or nothing works.
        AnymaskError: the model cannot be loaded, or the format is unknown.
        OSError: the folder cannot be written.
    """
    if restart and shard is not None:
        raise RunError("a part of a run cannot forget what the others have done: restart the whole run first")
    loaded = job.load()
    with Journal(folder, loaded.describe(), shard=shard, restart=restart) as journal:
        mine = items if shard is None else select_shard(items, *shard)
        waiting = [item for item in mine if not journal.is_done(item)]
        report = Report(images=len(mine), done_before=len(mine) - len(waiting))
        waiting_names = {item.name for item in waiting}
        report.masks = sum(journal.entries[item.name].masks for item in mine if item.name not in waiting_names)
        if progress is not None:
            progress(report)
        started = time.monotonic()
        in_a_row = 0
        try:
            for item, outcome in backend(loaded, waiting) if waiting else ():
                outcome = _add(journal, item, outcome)
                report.seconds = time.monotonic() - started
                _count(report, outcome)
                in_a_row = 0 if outcome.expected else in_a_row + 1
                if progress is not None:
                    progress(report)
                if in_a_row >= UNEXPECTED_IN_A_ROW:
                    raise RunError(
                        f"{in_a_row} images in a row failed, the last with {outcome.error}: something other than the "
                        "images is wrong; the same command goes on when it is mended"
                    )
            with journal.join_lock():
                journal.look_again()
                report.complete = all(item.name in journal.entries for item in items)
                if report.complete:
                    if job.is_joined:
                        report.joined, refused = _join(job, items, journal, report.losses)
                        report.failures.update(refused)
                    _write_manifest(folder / MANIFEST, items, journal, report.failures)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RunError(
                f"the disk is full, {report.left:,} images before the end: make room, then the same command goes on "
                "where this one stopped"
            ) from error
    return report


def done_before(folder: Path, items: Iterable[Item]) -> int:
    """Count the images that an earlier start has done, without changing anything.

    Raises:
        RunError: a journal is damaged.
    """
    journal = Journal(folder, {})
    journal.look_again()
    return sum(journal.is_done(item) for item in items)


def _add(journal: Journal, item: Item, outcome: Outcome) -> Outcome:
    """Write what belongs to an image, or record that its name is none for a file, and return what was recorded."""
    try:
        journal.add(item, outcome)
    except OSError as error:
        if error.errno not in _ERRORS_OF_NAMES:
            raise
        outcome = failure(item, error)
        journal.add(item, outcome)
    return outcome


def _count(report: Report, outcome: Outcome) -> None:
    if outcome.error is not None:
        report.failures[outcome.name] = outcome.error
        return
    report.done += 1
    report.masks += outcome.masks
    report.losses.counts.update(outcome.losses)


def _write_manifest(path: Path, items: Iterable[Item], journal: Journal, failures: Mapping[str, str]) -> None:
    def write(beside: Path) -> None:
        with beside.open("w") as stream:
            for item in items:
                entry = journal.entries[item.name]
                line: dict[str, Any] = {"image": item.name}
                error = failures.get(item.name, entry.error)
                if error is not None:
                    line["error"] = error
                else:
                    line["masks"] = entry.masks
                    if entry.result:
                        line["result"] = entry.result
                stream.write(json.dumps(line) + "\n")

    write_atomically(path, write)


def joined_path(job: Job, folder: Path) -> Path:
    """Say where a format that is made of all images is written."""
    layout = find_format(job.format)
    if layout.is_folder:
        return folder
    return folder / f"annotations{layout.suffixes[0] if layout.suffixes else '.json'}"


def _join(job: Job, items: Sequence[Item], journal: Journal, losses: Losses) -> tuple[Path, dict[str, str]]:
    """Write the format of all images; return its place, and why it could not take some of them."""
    path = joined_path(job, journal.folder)
    remove_leftovers(journal.folder)
    refused: dict[str, str] = {}
    with find_format(job.format).open_writer(path, losses, job.with_pictures) as writer:
        for item, record in journal.records(iter(items)):
            masks = sa1b_masks(json.loads(record), item.name)
            try:
                picture = item.read() if job.with_pictures else item.path
                writer.write(AnnotatedImage(item.name, masks, picture))
            except (InputsError, FormatError) as error:
                refused[item.name] = failure(item, error).error or ""
    return path, refused
