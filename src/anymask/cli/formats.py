"""``anymask formats``: which formats of masks there are."""

from __future__ import annotations


def formats() -> None:
    """List the formats of masks, and what each of them cannot hold."""
    from rich.console import Console
    from rich.table import Table

    from anymask.formats.registry import FORMATS, cannot_hold

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("FORMAT", no_wrap=True)
    table.add_column("WHAT IT IS", ratio=3)
    table.add_column("WHAT IT CANNOT HOLD", ratio=4)
    for one in FORMATS.values():
        table.add_row(one.name, one.title, ", ".join(cannot_hold(one)) or "-")
    Console().print(table)
