"""``python -m anymask.compat script.py``: run a program with the drop-in in the place of ``segment_anything``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from anymask.compat import install

USAGE = (
    "usage: python -m anymask.compat SCRIPT.py [ARGUMENT...]\n       python -m anymask.compat -m MODULE [ARGUMENT...]"
)


def main() -> None:
    """Run the script or module that the command line names, as Python itself would."""
    arguments = sys.argv[1:]
    as_module = arguments[:1] == ["-m"]
    if as_module:
        arguments = arguments[1:]
    if not arguments or (arguments[0].startswith("-") and not as_module):
        wanted = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if wanted else sys.stderr)
        sys.exit(0 if wanted else 2)
    install()
    sys.argv = arguments
    if as_module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        return
    if not Path(arguments[0]).exists():
        sys.exit(f"anymask: there is no script at {arguments[0]}")
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
