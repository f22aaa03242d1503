"""The floors of the house: a room may import from rooms below it, and from nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "anymask"
PACKAGE = "anymask"
FACE = "(the package itself)"

FLOORS = [
    {"errors", "atomic"},
    {"models", "weights"},
    {"segment"},
    {"formats", "draw", "language", "export"},
    {"runs"},
    {"evaluate", "apps", "compat"},
    {"train"},
    {"engine"},
    {"studio"},
    {FACE},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def rooms_below(source: Path) -> set[str]:
    """The names right below the package: folders and modules."""
    return {path.stem for path in source.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}


def room_of(parts: list[str], rooms: set[str]) -> str:
    return parts[1] if len(parts) > 1 and parts[1] in rooms else FACE


def imported_modules(tree: ast.AST, module: list[str], is_package: bool) -> Iterator[tuple[int, list[str]]]:
    """Dotted names within the package that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            base = []
            if node.level:
                base = module[: len(module) - node.level + is_package]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                yield node.lineno, [*base, alias.name]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value.split(".")


def imports_that_do_not_go_down(source: Path) -> list[str]:
    rooms = rooms_below(source)
    found = []
    for path in sorted(source.rglob("*.py")):
        is_package = path.name == "__init__.py"
        module = [PACKAGE, *path.relative_to(source).with_suffix("").parts]
        if is_package:
            module = module[:-1]
        own = room_of(module, rooms)
        for line, imported in imported_modules(ast.parse(path.read_text("utf-8")), module, is_package):
            if imported[0] != PACKAGE:
                continue
            other = room_of(imported, rooms)
            if other != own and FLOOR.get(other, len(FLOORS)) >= FLOOR.get(own, -1):
                found.append(f"{path.relative_to(source)}:{line} imports {'.'.join(imported)}")
    return found


def test_every_room_has_a_floor():
    assert rooms_below(SOURCE) - {"__init__"} <= set(FLOOR)


def test_imports_go_down():
    assert imports_that_do_not_go_down(SOURCE) == []


@pytest.mark.parametrize(
    ("path", "line", "allowed"),
    [
        ("segment/a.py", "from anymask.models.sam import Sam", True),
        ("segment/a.py", "from anymask.segment.b import x", True),
        ("models/a.py", "from anymask.errors import AnymaskError", True),
        ("__init__.py", "from anymask.segment.b import x", True),
        ("cli/a.py", "import anymask", True),
        ("models/a.py", "import torch", True),
        ("segment/inner/a.py", "from ...models import sam", True),
        ("segment/__init__.py", "from .b import x", True),
        ("models/a.py", "from anymask.segment.b import x", False),
        ("models/a.py", "import anymask.segment.b", False),
        ("models/a.py", "from anymask import segment", False),
        ("models/a.py", "from anymask import load", False),
        ("models/a.py", "from ..segment import b", False),
        ("models/a.py", "def f():\n    from anymask.segment import b", False),
        ("models/a.py", "import importlib\nimportlib.import_module('anymask.segment')", False),
        ("draw/a.py", "from anymask.formats import b", False),
        ("__init__.py", "from anymask.cli import main", False),
    ],
)
def test_the_check_tells_up_from_down(tmp_path, path, line, allowed):
    for room in FLOOR:
        if room != FACE:
            (tmp_path / room).mkdir()
            (tmp_path / room / "__init__.py").touch()
    (tmp_path / "__init__.py").touch()
    target = tmp_path / path
    target.parent.mkdir(exist_ok=True)
    target.write_text(line)
    assert (imports_that_do_not_go_down(tmp_path) == []) is allowed
