"""Many images: what goes in, what is done to each, what comes out, and how it goes on after a stop.

>>> from anymask.runs import Everything, Job, list_items, run
>>> report = run(Job(Everything()), list_items(["photos/"]), Path("out"))
"""

from anymask.runs.errors import InputsError, RunError
from anymask.runs.execution import Report, run
from anymask.runs.inputs import list_items
from anymask.runs.items import Item
from anymask.runs.job import Everything, Job, Prompted, Task

__all__ = [
    "Everything",
    "InputsError",
    "Item",
    "Job",
    "Prompted",
    "Report",
    "RunError",
    "Task",
    "list_items",
    "run",
]
