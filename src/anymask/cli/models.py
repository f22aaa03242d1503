"""``anymask models``: the family, and its weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from anymask.models.transfer import Progress, Say
    from anymask.models.verification import Weights

app = typer.Typer(help="The models, and how to get their weights.")

JsonPath = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the list as JSON here; - is standard output.")
]


def _say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _progress_bar(name: str) -> Iterator[tuple[Progress, Say]]:
    """Show how far one file is, and lines above that."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        before = ("", 0)

        def report(stage: str, done: int, total: int | None) -> None:
            nonlocal before
            if stage != before[0] or done < before[1]:
                # What was there already has not come at any speed.
                bar.reset(task, total=total, completed=done, description=f"{stage} {name}")
            else:
                bar.update(task, completed=done, total=total)
            before = (stage, done)

        # Only the bar's own console knows how to write while the bar is there.
        yield report, lambda text: console.print(text, soft_wrap=True, markup=False, highlight=False)


def _facts(weights: Weights) -> dict[str, Any]:
    spec = weights.spec
    return {
        "name": spec.name,
        "description": spec.description,
        "image_size": spec.image_size,
        "parameters": spec.parameters,
        "size": spec.size or None,
        "licence": spec.licence,
        "source": spec.source or None,
        "published_sha256": spec.sha256 or None,
        "path": None if weights.path is None else str(weights.path),
        "status": str(weights.verification),
        "sha256": weights.sha256 or None,
    }


@app.callback(invoke_without_command=True)
def models(context: typer.Context, json_path: JsonPath = None) -> None:
    """List the models; with a command, get or check their weights."""
    if context.invoked_subcommand is None:
        list_models(json_path)


@app.command("list")
def list_models(json_path: JsonPath = None) -> None:
    """List the models: size, licence, source, and whether their weights are here."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from anymask.atomic import write_atomically
    from anymask.models.registry import MODELS
    from anymask.models.transfer import readable_size
    from anymask.models.verification import weights_status

    family = [weights_status(name) for name in MODELS]
    text = json.dumps([_facts(weights) for weights in family], indent=1)
    if json_path == "-":
        typer.echo(text)
        return
    if json_path is not None:
        write_atomically(Path(json_path), lambda path: path.write_text(text))
        return
    table = Table(box=box.SIMPLE, show_edge=False, padding=0)
    for header in ("name", "input", "parameters", "download", "licence", "weights"):
        right = header in ("input", "parameters", "download")
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    for weights in family:
        spec = weights.spec
        table.add_row(
            spec.name,
            str(spec.image_size),
            f"{spec.parameters / 1e6:.1f} M",
            readable_size(spec.size) if spec.size else "",
            spec.licence,
            str(weights.verification),
        )
    console = Console()
    console.print(table)
    for weights in family:
        if weights.spec.source:
            where = "" if weights.path is None else f"; here: {weights.path}"
            console.print(f"{weights.spec.name}: {weights.spec.source}{where}", soft_wrap=True, markup=False)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="As in the list.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Get them from here: http, https or a path; of the file, or of a folder that holds it (an address "
            "of a folder ends in /). What arrives is compared with the published hash all the same.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Get them anew even if they are here.")] = False,
) -> None:
    """Download the weights of models, carrying on where a download stopped, and print their paths.

    They go to $ANYMASK_HOME, or to anymask in the user's cache folder.
    """
    from anymask.models.downloads import get_weights
    from anymask.models.registry import model_spec
    from anymask.models.verification import Verification

    # A mistyped second name should not show after an hour's download of the first.
    for name in names:
        model_spec(name)
    for name in dict.fromkeys(names):
        try:
            with _progress_bar(name) as (progress, say):
                weights = get_weights(name, source=source, force=force, progress=progress, say=say)
        except KeyboardInterrupt:
            _say(f"{name} is not complete; what arrived is kept, and the same command carries on from there")
            raise typer.Exit(130) from None
        if weights.verification is Verification.UNVERIFIED:
            _say(f"{name} is unverified, because no hash was published; its SHA-256 is {weights.sha256}")
        else:
            _say(f"{name} is {weights.verification}")
        typer.echo(str(weights.path))


@app.command()
def path(name: Annotated[str, typer.Argument(metavar="NAME", help="As in the list.", show_default=False)]) -> None:
    """Print where the weights of a model are; fail if they are not here."""
    from anymask.models.locations import locate
    from anymask.models.registry import model_spec

    typer.echo(str(locate(model_spec(name).name)))


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="As in the list; all that are here by default.", show_default=False),
    ] = None,
) -> None:
    """Read weights that are here and compare their SHA-256 with the published one."""
    from anymask.models.registry import MODELS
    from anymask.models.verification import ChecksumError, verify_weights, weights_status

    here = [name for name, spec in MODELS.items() if spec.source and weights_status(name).path is not None]
    wrong = []
    for name in dict.fromkeys(names or here):
        try:
            with _progress_bar(name) as (progress, _):
                weights = verify_weights(name, progress)
        except ChecksumError as error:
            wrong.append(str(error))
            continue
        typer.echo(f"{name}: {weights.verification} {weights.sha256}".rstrip())
    if not names and not here:
        _say("no downloaded weights are here")
    if wrong:
        raise ChecksumError("; ".join(wrong))
