"""The command line: one file per command, and one place where errors become a line."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, TextIO

import typer

from anymask.cli import (
    convert,
    evaluate,
    everything,
    export,
    finetune,
    formats,
    models,
    pretrain,
    segment,
    studio,
    train,
    view,
)
from anymask.cli.running import RunCommand
from anymask.errors import AnymaskError
from anymask.formats import FormatWarning

app = typer.Typer(
    name="anymask",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Segment anything: points, boxes and masks in, object masks out.",
)
app.command("segment", cls=RunCommand)(segment.segment)
app.command("everything", cls=RunCommand)(everything.everything)
app.command("convert")(convert.convert)
app.command("formats")(formats.formats)
app.command("view")(view.view)
app.command("export")(export.export)
app.command("studio")(studio.studio)
app.command("train")(train.train)
app.command("finetune")(finetune.finetune)
app.command("pretrain")(pretrain.pretrain)
app.add_typer(evaluate.app, name="evaluate", help="Measure models.")
app.add_typer(models.app, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        from anymask import __version__

        typer.echo(f"anymask {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say what a format could not hold in a line, as errors are said; other warnings look as they always do."""
    if issubclass(category, FormatWarning):
        typer.echo(f"anymask: {' '.join(str(message).split())}", err=True)
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


_show_other_warning = warnings.showwarning


def main() -> None:
    """Run the command line; a user's error becomes one line on stderr and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        app()
    except AnymaskError as error:
        sys.exit(f"anymask: {' '.join(str(error).split())}")
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        sys.exit(f"anymask: cannot read or write{where}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)
