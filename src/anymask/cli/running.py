"""What the commands that run over many images share: their options, progress and the last lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from anymask.atomic import write_atomically

if TYPE_CHECKING:
    from anymask.runs.execution import Backend, Report
    from anymask.runs.items import Item
    from anymask.runs.job import Job

FAILURES_SHOWN = 20
"""Further ones are in the manifest only: a million lines are not read."""
SECONDS_BETWEEN_LINES = 10.0

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="sa1b (the default for folders, patterns, lists and archives), another of `anymask formats`, or pictures: "
        "overlay, masks, cut-outs and JSON (the default for images).",
    ),
]
OverlaysOption = Annotated[
    bool, typer.Option("--overlays", help="Draw each image's masks on it, into overlays/ of the output folder.")
]
WithPicturesOption = Annotated[
    bool, typer.Option("--with-pictures", help="Copy the images to where the format expects them.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N images.")]
ShardOption = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Only the Ith of N parts of the images, such as 2/4; parts may run side by side."),
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Forget what was done in the output folder, and begin anew.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
ReportOption = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write counts, time, losses and failures as JSON here.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Work on a Ray cluster: its host:port, auto for the one this machine belongs to, or local to start one. "
        "Without ADDRESS, auto where there is one, else local.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Workers on the cluster; as many as fit where left out.")
]
CpusOption = Annotated[
    float | None, typer.Option("--cpus-per-worker", min=0.01, help="Processor cores for each worker on the cluster.")
]
GpusOption = Annotated[
    float | None, typer.Option("--gpus-per-worker", min=0.0, help="GPUs for each worker on the cluster.")
]


class RunCommand(TyperCommand):
    """A command whose --ray may stand without an address, which typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the address that is meant."""
        given: list[str] = []
        for index, argument in enumerate(args):
            given.append(argument)
            if argument == "--ray" and (index + 1 == len(args) or args[index + 1].startswith("-")):
                given.append("any")
        return super().parse_args(ctx, given)


@dataclass(frozen=True)
class RunOptions:
    """What the options say about how a run goes, not about its masks."""

    limit: int | None = None
    shard: str | None = None
    restart: bool = False
    dry_run: bool = False
    report: Path | None = None
    ray: str | None = None
    workers: int | None = None
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None

    @property
    def are_given(self) -> bool:
        """Whether any of them is."""
        return self != RunOptions()


def carry_out(job: Job, items: list[Item], folder: Path, options: RunOptions, notes: list[str]) -> None:
    """Run, show how it goes on stderr, and end the program with 1 if an image failed.

    Args:
        job: what is done.
        items: the images.
        folder: for the results.
        options: how.
        notes: lines about the input, said in the end again.

    Raises:
        AnymaskError: the run cannot begin or go on.
    """
    from anymask.runs.errors import RunError
    from anymask.runs.execution import MANIFEST, run
    from anymask.runs.inputs import parse_shard

    shard = None if options.shard is None else parse_shard(options.shard)
    if shard is not None and options.restart:
        raise RunError("--restart forgets all parts of a run: start it once without --shard, or remove the folder")
    if options.report is not None and not options.report.parent.is_dir():
        raise RunError(f"{options.report} cannot be written: there is no folder {options.report.parent}")
    items = items[: options.limit]
    if options.dry_run:
        _say_what_would_be_done(job, items, folder, shard, options, notes)
        return
    backend = _backend(options)
    try:
        with _show_progress() as progress:
            report = run(job, items, folder, shard=shard, restart=options.restart, backend=backend, progress=progress)
    except KeyboardInterrupt:
        typer.echo("anymask: stopped; the same command goes on from here", err=True)
        raise
    for note in notes:
        typer.echo(f"anymask: {note}", err=True)
    for line in report.losses.lines():
        typer.echo(f"anymask: {job.format}: {line}", err=True)
    typer.echo(_summary(report, folder), err=True)
    if shard is not None and not report.complete:
        typer.echo(f"part {options.shard} is done; the last part to end writes what is made of all images", err=True)
    if options.report is not None:
        text = json.dumps(report.to_json(), indent=1)
        write_atomically(options.report, lambda path: path.write_text(text))
    if report.failures:
        where = f"see {folder / MANIFEST}" if report.complete else "the last part to end lists them"
        typer.echo(f"anymask: {len(report.failures):,} of {_images(report.images)} failed; {where}", err=True)
        raise typer.Exit(1)


def _backend(options: RunOptions) -> Backend:
    from anymask.runs.errors import RunError
    from anymask.runs.execution import run_locally

    cluster = (options.workers, options.cpus_per_worker, options.gpus_per_worker)
    if options.ray is None:
        if any(value is not None for value in cluster):
            raise RunError("--workers, --cpus-per-worker and --gpus-per-worker belong to --ray")
        return run_locally
    from anymask.runs.cluster import ClusterOptions, run_on_cluster

    address = None if options.ray == "local" else options.ray
    chosen = ClusterOptions(address, options.workers, options.cpus_per_worker, options.gpus_per_worker)
    return lambda loaded, items: run_on_cluster(loaded, items, chosen)


def _say_what_would_be_done(
    job: Job,
    items: list[Item],
    folder: Path,
    shard: tuple[int, int] | None,
    options: RunOptions,
    notes: list[str],
) -> None:
    from anymask.runs.execution import done_before, joined_path
    from anymask.runs.inputs import select_shard

    mine = items if shard is None else select_shard(items, *shard)
    done = 0 if options.restart else done_before(folder, mine)
    typer.echo(f"{_images(len(mine))}{f' of {len(items):,}' if shard else ''}, {done:,} of them done before")
    for item in [*mine[:3], *mine[3:][-1:]]:
        typer.echo(f"  {item.name}")
    place = joined_path(job, folder) if job.is_joined else folder
    typer.echo(f"masks go to {place} as {job.format}, by {job.model}")
    for note in notes:
        typer.echo(note)


def _summary(report: Report, folder: Path) -> str:
    before = f", {report.done_before:,} before" if report.done_before else ""
    took = f" in {_duration(report.seconds)} ({report.rate:.2f} images/s)" if report.done else ""
    place = folder if report.joined is None else report.joined
    return (
        f"{_images(report.done)} done{took}{before}; {report.masks:,} mask{'' if report.masks == 1 else 's'} in {place}"
    )


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@contextmanager
def _show_progress() -> Iterator[Any]:
    """Show counts, rate and remaining time: as a bar on a terminal, as a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, soft_wrap=True)
    columns = (
        TextColumn("images"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[failed]}"),
    )
    shown = 0
    last = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("images", total=None, rate="", failed="")

        def progress(report: Report) -> None:
            nonlocal shown, last
            looked_at = report.images - report.left
            failed = f"{len(report.failures):,} failed" if report.failures else ""
            bar.update(task, completed=looked_at, total=report.images, rate=f"{report.rate:.2f}/s", failed=failed)
            if len(report.failures) > shown:
                shown += 1
                if shown <= FAILURES_SHOWN:
                    name, reason = list(report.failures.items())[-1]
                    console.print(f"anymask: {name}: {reason}", markup=False, highlight=False)
                elif shown == FAILURES_SHOWN + 1:
                    console.print("anymask: further images failed; the manifest will list them", markup=False)
            if not console.is_terminal and report.rate and time.monotonic() - last > SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                left = _duration(report.left / report.rate)
                line = f"{looked_at:,}/{report.images:,} images, {report.rate:.2f} images/s, {left} left"
                console.print(f"{line}{', ' + failed if failed else ''}", markup=False, highlight=False)

        yield progress
